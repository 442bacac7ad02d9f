"""Two configurations held against each other: every value that can change a forward pass, whatever it is called.

What the family's table understands is compared as it was understood. Everything else in the file is compared as it
stands there, because a key that no table knows (an attention scale, a soft cap, the types of layers) changes the
forward pass all the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from diag.checkpoints.compare.differences import ConfigDifference
from diag.checkpoints.config import KEYS, NO_EFFECT, UNDERSTOOD
from diag.checkpoints.reader import Checkpoint

# Keys that are one setting together: changing one without the others gives a model that nobody meant.
SETTINGS: dict[str, tuple[str, ...]] = {
    "heads": ("num_attention_heads", "n_head", "num_key_value_heads", "head_dim"),
    "rotary": (
        *("rope_theta", "rotary_emb_base", "rope_scaling", "rope_parameters", "rope_local_base_freq"),
        *("rope_type", "partial_rotary_factor", "rotary_pct"),
    ),
    "eps": ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"),
    "activation": ("hidden_act", "hidden_activation", "activation_function"),
    "tie": ("tie_word_embeddings",),
    "window": ("sliding_window", "use_sliding_window", "max_window_layers", "layer_types", "sliding_window_pattern"),
    "attention bias": ("attention_bias",),
}
# Fields of ModelConfig that no forward pass reads, or that the shapes decide.
_ASIDE = ("vocab_size", "hidden_size", "num_layers", "intermediate_size", "max_position_embeddings")
_INFORMATION = ("declared_architecture", "model_type", "dtype")


def config_differences(here: Checkpoint, there: Checkpoint) -> tuple[ConfigDifference, ...]:
    """Values that the two do not share, by the names both know, then by the file's own. Cost: none."""
    both = here.model is not None and there.model is not None
    mine, theirs = (dict(vars(c.model)) if both else dict(c.known) for c in (here, there))
    if both:
        covered = UNDERSTOOD | set(mine)
        mine |= dict(_others(here.raw_config, covered))
        theirs |= dict(_others(there.raw_config, covered))
    keys = [*mine, *(key for key in theirs if key not in mine)]
    return tuple(
        ConfigDifference(key, mine.get(key), theirs.get(key), setting_of(key))
        for key in keys
        if mine.get(key) != theirs.get(key)
    )


def setting_of(key: str) -> str | None:
    """The setting that a key belongs to, which is changed as a whole; None where it has no effect on a forward pass."""
    raw = KEYS.get(key, key).split(".")[0]
    if key in _INFORMATION or key in _ASIDE or raw in NO_EFFECT:
        return None
    return next((name for name, keys in SETTINGS.items() if raw in keys), raw)


def with_setting(raw: Mapping[str, Any], other: Mapping[str, Any], setting: str) -> dict[str, Any]:
    """A configuration (the keys of config.json) with one setting as `other` has it, its silence included."""
    keys = SETTINGS.get(setting, (setting,))
    return {key: value for key, value in raw.items() if key not in keys} | {
        key: other[key] for key in keys if key in other
    }


def _others(raw: Mapping[str, Any], covered: set[str]) -> Iterator[tuple[str, Any]]:
    """(key, value) of what no table understands; rotary settings flat, under one spelling."""
    for key, value in raw.items():
        if key in ("rope_parameters", "rope_scaling") and isinstance(value, dict):
            yield from _rotary(value, "")
        elif key not in covered and key not in NO_EFFECT and value is not None:
            yield key, value


def _rotary(settings: Mapping[str, Any], within: str) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _rotary(value, f"{key}.")
        elif within or key not in ("rope_theta", "rope_type", "type"):  # those are fields of ModelConfig
            yield f"rope_parameters.{within}{key}", value
