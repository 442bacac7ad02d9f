"""config.json under a repair: what the edits change, and what a format without one leaves to be said. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diag.checkpoints import Checkpoint
from diag.checkpoints.config import ALIASES
from diag.model.edits.base import Edit
from diag.model.skeleton import canonical

Config = dict[str, Any]


def repaired_config(checkpoint: Checkpoint, edits: Sequence[Edit]) -> Config:
    """The configuration as the file states it, with what the edits change of it under the file's own keys."""
    found: Config = dict(checkpoint.raw_config)
    for edit in edits:
        found = edit.configured(found)
        for key, value in edit.config.items():
            found[_spelt(key, found, checkpoint)] = value
    return found


def _spelt(key: str, raw: Mapping[str, Any], checkpoint: Checkpoint) -> str:
    """How this config.json spells a key; as transformers' class does where it is silent."""
    family = checkpoint.family
    own = family.renamed.get(key, key) if family else key
    return next((name for name in (own, key, *ALIASES.get(key, ())) if name in raw), own)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{key: (before, after)} of what changed; None for a key that is not there."""
    keys = dict.fromkeys((*before, *after))
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def completed(raw: Config, checkpoint: Checkpoint) -> Config:
    """The configuration with what transformers needs and a weight file alone does not state: which class, and sizes."""
    family = checkpoint.family
    if family is None or "model_type" in raw:
        return raw
    own = {"architectures": [family.architectures[0]], "model_type": family.model_types[0]}
    return own | canonical(checkpoint.config, family) | raw
