"""From what a reader found to a Checkpoint: which family, which dimensions, and where each value comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from diag.checkpoints.config import KEYS, NO_EFFECT, UNDERSTOOD, ModelConfig, declared, parse_config, stated
from diag.checkpoints.families import Family
from diag.checkpoints.identify.family import declared_family, family_of
from diag.checkpoints.identify.head_dim_from_rotary import head_dim_from_rotary
from diag.checkpoints.identify.infer import (
    as_conv1d,
    attention_widths,
    config_from_shapes,
    with_causal_prefix,
)
from diag.checkpoints.identify.names import from_zero, plain_names
from diag.checkpoints.identify.with_scales import with_scales
from diag.checkpoints.reader import Checkpoint, OpenedCheckpoint, Source
from diag.errors import InputError, one_line
from diag.results import codec


def assemble(path: Path, opened: OpenedCheckpoint) -> Checkpoint:
    """The checkpoint at `path`. An unknown architecture gives one without family and model.

    What the file does not state is read off names and shapes, then taken from the family. InputError for a
    configuration that cannot be believed: no Unicode, impossible sizes. Reads nothing, unless a small model does not
    state its heads (`head_dim_from_rotary`).
    """
    raw = opened.config
    try:
        codec.canonical(raw)  # what the fingerprint will be taken of
    except (UnicodeEncodeError, RecursionError):
        raise InputError(
            "the configuration holds text that is no Unicode, or is nested too deeply.",
            where=str(path),
            fix="Copy it again.",
        ) from None
    architecture, model_type = declared(raw)
    bare, naming = plain_names(opened.tensors)
    tensors, notes = with_causal_prefix(bare), opened.notes
    tensors = with_scales(tensors, raw)
    family = family_of(architecture, model_type, tensors.keys(), attention_bias=raw.get("attention_bias") is True)
    if family is not None:
        tensors, numbered = from_zero(tensors, family, stated(raw, "num_hidden_layers"))
        naming += numbered
        tensors, turned = as_conv1d(tensors, family)
        if turned:
            notes = (*notes, f"{turned} matrices are stored as nn.Linear has them, [out, in], and turned for GPT-2.")
    found = Checkpoint(
        path=path,
        format=opened.format,
        model=None,
        raw_config=raw,
        family=family,
        tensors=dict(sorted(tensors.items())),
        files=opened.files,
        declared_architecture=architecture,
        known=_plain_values(raw),
        tokenizer_dir=opened.tokenizer_dir,
        notes=(*notes, *naming),
        naming=naming,
        states_tie=opened.states_tie and bool(raw),
    )
    return found if family is None else _with_model(found, family, opened.inferred)


def _with_model(found: Checkpoint, family: Family, inferred: frozenset[str]) -> Checkpoint:
    """The same with its dimensions; without family where nothing is declared and the names are too few to tell."""
    architecture, model_type = declared(found.raw_config)
    known = as_read(found.raw_config, family)
    from_shapes, notes = _from_shapes(found, family, known)
    defaults = (declared_family(architecture, model_type) or family).defaults
    try:
        model = parse_config(from_shapes | known, where=str(found.path), defaults=defaults, grouped=family.grouped)
    except InputError as error:
        if architecture or model_type or not error.what.endswith("is missing."):
            raise
        return replace(found, family=None)
    inferred |= from_shapes.keys()
    sources = {field: _source(KEYS.get(field, field), known, inferred) for field in vars(model)}
    return replace(found, model=model, sources=sources, notes=found.notes + notes + _unread(found.raw_config, family))


def _unread(raw: dict[str, Any], family: Family) -> tuple[str, ...]:
    """A sentence that names the keys which could mean another forward pass, and which the family does not read."""
    aside = family.reads | NO_EFFECT | UNDERSTOOD | ModelConfig.__dataclass_fields__.keys()
    keys = [one_line(key, 60) for key, value in raw.items() if key not in aside and value not in (None, False)]
    if not keys:
        return ()
    named = ", ".join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
    return (f"The configuration states {named}, which {family.name} does not read; nothing is made of it.",)


def as_read(raw: dict[str, Any], family: Family) -> dict[str, Any]:
    """What transformers' class of the family would read: its own spelling of a key wins, null is silence."""
    known = {key: value for key, value in raw.items() if value is not None and key not in family.unread}
    return known | {usual: known[own] for usual, own in family.renamed.items() if own in known}


def _from_shapes(found: Checkpoint, family: Family, known: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Keys of config.json that the file does not state, and a sentence where the heads are not read but found."""
    read = config_from_shapes(family, found.tensors, known)
    notes: tuple[str, ...] = ()
    widths = attention_widths(family, found.tensors)
    silent = all(stated(known, key) is None for key in ("head_dim", "num_attention_heads"))
    if widths and silent and "head_dim" in read and not _normed(found, family):
        how = "what published models of these widths have, else a guess"
        if width := head_dim_from_rotary(found, read.get("hidden_size", 0), *widths):
            read |= config_from_shapes(family, found.tensors, known | {"head_dim": width})
            how = "as its Q and K rows show"
        heads, width = read["num_attention_heads"], read["head_dim"]
        notes = (f"The file does not state its heads: taken are {heads} of width {width}, {how}.",)
    return {key: value for key, value in read.items() if stated(known, key) is None}, notes


def _normed(found: Checkpoint, family: Family) -> bool:
    """Whether a norm over one head shows its width."""
    role = family.roles.get("q_norm")
    return role is not None and role.shape == ("head_dim",) and role.tensor(0) in found.tensors


def _source(key: str, known: dict[str, Any], inferred: frozenset[str]) -> Source:
    if key in inferred:
        return "inferred"
    return "file" if stated(known, key) is not None else "default"


def _plain_values(raw: dict[str, Any]) -> dict[str, Any]:
    """What the file states that fits on a line."""
    return {key: value for key, value in raw.items() if isinstance(value, (str, int, float, bool))}
