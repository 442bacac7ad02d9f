"""The key-values of a GGUF file → the keys of config.json, and what has to be inferred because GGUF does not say it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from diag.checkpoints.dtypes import Array
from diag.checkpoints.formats.gguf_names import ARCHITECTURES, KEYS, Architecture
from diag.checkpoints.formats.gguf_rope import (
    longrope,
    partial_rotary,
    scaling_of_divisors,
    stated_scaling,
    theta_of,
)
from diag.checkpoints.formats.gguf_values import Skipped, Value
from diag.errors import one_line

TOKENIZER_KEYS = {
    "tokenizer.ggml.bos_token_id": "bos_token_id",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
}
DIVISORS, LONG, SHORT = "rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"
# Gemma scales attention by the width of a head, except for these sizes, by their number of layers: the 27 B models
# use hidden / heads. GGUF does not say it. Source: llama.cpp, gemma2 and gemma3 (f_attention_scale).
GEMMA_BY_HIDDEN = {"gemma2": 46, "gemma3_text": 62}
# Where only a part of each head turns: the key of config.json for its share, which GGUF gives in dimensions.
ROTARY_SHARE = {"phi3": "partial_rotary_factor", "gpt_neox": "rotary_pct"}


@dataclass
class GgufConfig:
    """What the key-values say. config: under the keys of config.json. inferred: keys of it that were worked out.
    consumed: tensors that became part of the configuration. notes: one sentence each."""

    config: dict[str, Any] = field(default_factory=dict)
    inferred: set[str] = field(default_factory=set)
    consumed: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def infer(self, key: str, value: Any) -> None:
        """Set a key that the file leaves open."""
        if value is not None and self.config.get(key) is None:
            self.config[key] = value
            self.inferred.add(key)


def architecture_of(values: Mapping[str, Value]) -> tuple[str | None, Architecture | None]:
    """What `general.architecture` says, and its row of the table."""
    named = values.get("general.architecture")
    if not isinstance(named, str) or not named:
        return None, None
    return one_line(named, 100), ARCHITECTURES.get(named)


def hf_config_from_gguf(
    values: Mapping[str, Value], shapes: Mapping[str, tuple[int, ...]], read: Callable[[str], Array | None]
) -> GgufConfig:
    """The configuration of the model.

    shapes: of every tensor, by its name in the file, [out, in]. read: a small tensor as float32, None where it is not
    small or not there. Raises nothing; what makes no sense is left to `parse_config`.
    """
    name, row = architecture_of(values)
    found = GgufConfig()
    if name is not None:
        found.config |= {
            "architectures": [row.family.architectures[0] if row else name],
            "model_type": row.family.model_types[0] if row else name,
        }
        for key, target in (row.keys if row else KEYS).items():
            if (value := _plain(values.get(f"{name}.{key}"))) is not None:
                found.config[target] = value
    for key, target in TOKENIZER_KEYS.items():
        if isinstance(value := values.get(key), int):
            found.config[target] = value
    _vocabulary(found, values, shapes)
    if name is not None and row is not None:
        _of_family(found, name, row, values, shapes)
        _rotary(found, name, values, read)
    return found


def _plain(value: Value | None) -> Any:
    """A value as config.json would have it: an array with one number a layer is that number if all agree."""
    if isinstance(value, Skipped):
        return None
    if isinstance(value, tuple):
        return value[0] if value and all(v == value[0] for v in value) else list(value)
    return value


def _vocabulary(found: GgufConfig, values: Mapping[str, Value], shapes: Mapping[str, tuple[int, ...]]) -> None:
    rows = shapes.get("token_embd.weight", (None,))[0]
    found.infer("vocab_size", rows)
    tokens = values.get("tokenizer.ggml.tokens")
    count = tokens.count if isinstance(tokens, Skipped) else None
    if rows is not None and count is not None and rows != count:
        found.notes.append(f"The tokenizer in the file has {count:,} entries, the embedding {rows:,} rows.")


def _of_family(
    found: GgufConfig, name: str, row: Architecture, values: Mapping[str, Value], shapes: Collection[str]
) -> None:
    config = found.config
    # Padding rows change no loss, and the family's default id may lie beyond a small vocabulary.
    config["pad_token_id"] = None
    if config.get("sliding_window") == 0:  # how the exporter writes null (Phi-4)
        config["sliding_window"] = None
    if "num_key_value_heads" in row.keys.values():
        found.infer("num_key_value_heads", config.get("num_attention_heads"))
    if any(stored.startswith("blk.0.") for stored in shapes):
        for key, tensor in row.flags.items():
            found.infer(key, tensor in shapes)
    head = "output.weight" in shapes
    if not (head and row.family.defaults.tie_word_embeddings):  # such a head may be the copy of older exporters
        found.infer("tie_word_embeddings", not head)
    if config["model_type"] in GEMMA_BY_HIDDEN:
        found.infer("query_pre_attn_scalar", _gemma_scalar(config, values.get(f"{name}.attention.scale")))
        pattern = values.get(f"{name}.attention.sliding_window_pattern")
        if isinstance(pattern, tuple) and len(pattern) == config.get("num_hidden_layers"):
            config["layer_types"] = ["sliding_attention" if slides else "full_attention" for slides in pattern]
        elif isinstance(pattern, int) and pattern > 0:
            config["sliding_window_pattern"] = pattern
    if config["model_type"] == "olmo2" and config.get("sliding_window"):  # OLMo 3 is exported as "olmo2" with a window
        config |= {"architectures": ["Olmo3ForCausalLM"], "model_type": "olmo3"}


def _gemma_scalar(config: Mapping[str, Any], scale: Value | None) -> float | int | None:
    if isinstance(scale, float) and math.isfinite(scale) and 1e-6 < scale < 1e6:
        return scale**-2
    hidden, heads = _count(config.get("hidden_size")), _count(config.get("num_attention_heads"))
    if hidden and heads and config.get("num_hidden_layers") == GEMMA_BY_HIDDEN[config["model_type"]]:
        return hidden // heads
    return _count(config.get("head_dim"))


def _count(value: Any) -> int | None:
    """`value` if it is a whole number above 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _rotary(found: GgufConfig, name: str, values: Mapping[str, Value], read: Callable[[str], Array | None]) -> None:
    config = found.config

    def number(key: str) -> float | None:
        value = values.get(f"{name}.rope.scaling.{key}")
        return value if isinstance(value, (int, float)) and math.isfinite(value) else None

    kind = values.get(f"{name}.rope.scaling.type")
    scaling = stated_scaling(number, kind)
    older = values.get(f"{name}.rope.scale_linear")
    if scaling is None and isinstance(older, float) and math.isfinite(older) and older > 1:
        scaling = {"rope_type": "linear", "factor": older}
    long, short, divisors = read(LONG), read(SHORT), read(DIVISORS)
    if long is not None and short is not None:
        scaling = longrope(long, short, number("attn_factor"))
        found.consumed |= {LONG, SHORT}
    elif divisors is not None:
        solved = scaling_of_divisors(divisors, theta_of(config))
        if solved is None:
            found.notes.append("rope_freqs holds rotary divisors that no known scaling gives; they are not applied.")
        else:
            found.infer("rope_scaling", solved or None)
            found.consumed.add(DIVISORS)
    if scaling is not None:
        config["rope_scaling"] = scaling
    turning = _count(values.get(f"{name}.rope.dimension_count"))
    hidden, heads = _count(config.get("hidden_size")), _count(config.get("num_attention_heads"))
    share = ROTARY_SHARE.get(config["model_type"])
    if share and turning and hidden and heads and turning <= hidden // heads:
        config[share] = partial_rotary(turning, hidden // heads)
