"""From what a reader found to a Checkpoint: which family, which dimensions, and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diag import jsonio
from diag.checkpoints.config import declared, parse_config
from diag.checkpoints.families import declared_family, family_of
from diag.checkpoints.reader import Checkpoint, Opened, Source
from diag.errors import InputError


def assemble(path: Path, opened: Opened) -> Checkpoint:
    """The checkpoint at `path`. An unknown architecture gives one without family and model.

    InputError for a configuration that cannot be believed: no Unicode, impossible sizes. Reads nothing.
    """
    raw = opened.config
    try:
        jsonio.canonical(raw)  # what the fingerprint will be taken of
    except (UnicodeEncodeError, RecursionError):
        raise InputError(
            "the configuration holds text that is no Unicode, or is nested too deeply.",
            where=str(path),
            fix="Copy it again.",
        ) from None
    architecture, model_type = declared(raw)
    bias = raw.get("attention_bias") is True
    family = family_of(architecture, model_type, opened.tensors.keys(), attention_bias=bias)
    model, known, sources = None, _plain_values(raw), {}
    if family is not None:
        stamped = declared_family(architecture, model_type) or family
        model = parse_config(raw, where=str(path), defaults=stamped.defaults)
        sources = {key: _source(key, opened) for key in vars(model)}
    return Checkpoint(
        path=path,
        format=opened.format,
        model=model,
        raw_config=raw,
        family=family,
        tensors=dict(sorted(opened.tensors.items())),
        files=opened.files,
        declared_architecture=architecture,
        known=known,
        sources=sources,
        tokenizer_dir=opened.tokenizer_dir,
        notes=opened.notes,
    )


def _source(key: str, opened: Opened) -> Source:
    if key in opened.inferred:
        return "inferred"
    return "file" if opened.config.get(key) is not None else "default"


def _plain_values(raw: dict[str, Any]) -> dict[str, Any]:
    """What config.json states that fits on a line."""
    return {key: value for key, value in raw.items() if isinstance(value, (str, int, float, bool))}
