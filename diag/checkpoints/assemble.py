"""From what a reader found to a Checkpoint: which family, which dimensions, and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diag import jsonio
from diag.checkpoints.config import KEYS, ModelConfig, declared, parse_config, stated
from diag.checkpoints.families import declared_family, family_of
from diag.checkpoints.infer import canonical, dimensions
from diag.checkpoints.reader import Checkpoint, Opened, Source
from diag.errors import InputError


def assemble(path: Path, opened: Opened) -> Checkpoint:
    """The checkpoint at `path`. An unknown architecture gives one without family and model.

    What the file does not state is read off names and shapes, then taken from the family. InputError for a
    configuration that cannot be believed: no Unicode, impossible sizes. Reads nothing.
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
    tensors = canonical(opened.tensors)
    family = family_of(architecture, model_type, tensors.keys(), attention_bias=raw.get("attention_bias") is True)
    model: ModelConfig | None = None
    sources: dict[str, Source] = {}
    if family is not None:
        from_shapes = {k: v for k, v in dimensions(family, tensors, raw).items() if stated(raw, k) is None}
        defaults = (declared_family(architecture, model_type) or family).defaults
        try:
            model = parse_config(from_shapes | raw, where=str(path), defaults=defaults, grouped=family.grouped)
        except InputError:
            if architecture or model_type:
                raise
            family = None  # names alone, too few to tell the sizes
        if model is not None:
            inferred = opened.inferred | from_shapes.keys()
            sources = {field: _source(KEYS.get(field, field), raw, inferred) for field in vars(model)}
    return Checkpoint(
        path=path,
        format=opened.format,
        model=model,
        raw_config=raw,
        family=family,
        tensors=dict(sorted(tensors.items())),
        files=opened.files,
        declared_architecture=architecture,
        known=_plain_values(raw),
        sources=sources,
        tokenizer_dir=opened.tokenizer_dir,
        notes=opened.notes,
    )


def _source(key: str, raw: dict[str, Any], inferred: frozenset[str]) -> Source:
    if key in inferred:
        return "inferred"
    return "file" if stated(raw, key) is not None else "default"


def _plain_values(raw: dict[str, Any]) -> dict[str, Any]:
    """What the file states that fits on a line."""
    return {key: value for key, value in raw.items() if isinstance(value, (str, int, float, bool))}
