"""The dimensions of a model, read from a Hugging Face config.json, which is not trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from diag.checkpoints.untrusted import is_text
from diag.errors import InputError, one_line

# Far above any model that exists; a number beyond is a broken or hostile file, and would cost memory.
LIMITS = {
    "hidden_size": 1 << 20,
    "num_hidden_layers": 10_000,
    "num_attention_heads": 1 << 16,
    "num_key_value_heads": 1 << 16,
    "head_dim": 1 << 16,
    "intermediate_size": 1 << 22,
    "vocab_size": 1 << 26,
    "max_position_embeddings": 1 << 32,
}
FIX = "Compare the configuration with the one published beside the weights."

# What some families call the same thing (GPT-2, GPT-NeoX, Gemma), by the usual key of config.json.
ALIASES: dict[str, tuple[str, ...]] = {
    "hidden_size": ("n_embd",),
    "num_hidden_layers": ("n_layer",),
    "num_attention_heads": ("n_head",),
    "intermediate_size": ("n_inner",),
    "max_position_embeddings": ("n_positions", "n_ctx"),
    "rms_norm_eps": ("layer_norm_eps", "layer_norm_epsilon"),
    "rope_theta": ("rotary_emb_base",),
    "hidden_act": ("hidden_activation", "activation_function"),
    "dtype": ("torch_dtype",),
}
# ModelConfig's field → the key of config.json, where they differ.
KEYS = {
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "declared_architecture": "architectures",
}
# Every key that a field of ModelConfig is read from.
UNDERSTOOD = {name for names in ALIASES.values() for name in names} | set(ALIASES) | set(KEYS.values())
# Sizes that the shapes of the tensors decide, and what says nothing about a forward pass.
NO_EFFECT = frozenset(
    (
        *("architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "_name_or_path", "auto_map"),
        *("quantization_config", "use_cache", "initializer_range", "initializer_cutoff_factor", "output_attentions"),
        *("output_hidden_states", "return_dict", "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id"),
        *("cls_token_id", "sep_token_id", "decoder_start_token_id", "vocab_size", "hidden_size", "n_embd", "n_layer"),
        *("num_hidden_layers", "intermediate_size", "n_inner", "max_position_embeddings", "n_positions", "n_ctx"),
        *("attention_dropout", "hidden_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "classifier_dropout"),
        *("residual_dropout", "embedding_dropout", "hidden_dropout_prob", "resid_dropout", "embd_dropout"),
        *("summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj"),
        *("pretraining_tp", "gradient_checkpointing", "task_specific_params", "attn_implementation", "id2label"),
        *("label2id", "problem_type", "num_labels", "chunk_size_feed_forward", "is_decoder", "is_encoder_decoder"),
        *("add_cross_attention", "tie_encoder_decoder", "cache_implementation", "reorder_and_upcast_attn"),
        *("_attn_implementation_autoset", "mlp_bias_dropout", "torchscript", "finetuning_task"),
    )
)  # fmt: skip


def stated(raw: dict[str, Any], key: str) -> Any:
    """What config.json says under `key` or one of its other names; None where it is silent."""
    for name in (key, *ALIASES.get(key, ())):
        if raw.get(name) is not None:
            return raw[name]
    rope = rotary(raw)
    if key == "rope_type":
        return rope.get("rope_type", rope.get("type"))
    return rope.get("rope_theta") if key == "rope_theta" else None


def rotary(raw: dict[str, Any]) -> dict[str, Any]:
    """The rotary settings: `rope_parameters` (transformers 5; Gemma 3's are nested, its full attention counts) or
    `rope_scaling`."""
    found = next((r for r in (raw.get("rope_parameters"), raw.get("rope_scaling")) if isinstance(r, dict)), {})
    inner = found.get("full_attention")
    return inner if isinstance(inner, dict) else found


@dataclass(frozen=True)
class Defaults:
    """What a family means when config.json is silent (the defaults of its transformers configuration class)."""

    rms_norm_eps: float = 1e-6
    rope_theta: float | None = 10_000.0  # None: positions are learned
    tie_word_embeddings: bool = False
    max_position_embeddings: int = 2048
    head_dim: int | None = None  # None: hidden_size / num_heads
    intermediate_factor: int | None = None  # of hidden_size; None: it must be stated
    attention_bias: bool | None = None
    hidden_act: str = "silu"


@dataclass(frozen=True)
class ModelConfig:
    """Dimensions and constants of a decoder. Sizes are counts; eps is added to a mean square; theta is a base, null for
    learned positions.

    `tie_word_embeddings` and `attention_bias` are null when neither the file nor the family says. `rope_type` is
    "default" unless the file asks for a scaled variant.
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float | None
    tie_word_embeddings: bool | None
    declared_architecture: str | None
    model_type: str | None
    dtype: str | None
    attention_bias: bool | None = None
    rope_type: str = "default"
    hidden_act: str = "silu"


# Lowest and highest of the settings that reach transformers' code as the file states them. Outside, that code divides
# by zero, asks for tables of any length, or fails in the middle of a forward pass.
RANGES: dict[str, tuple[float, float]] = {
    "sliding_window": (1, 1 << 32),
    "max_window_layers": (0, LIMITS["num_hidden_layers"]),
    "sliding_window_pattern": (1, LIMITS["num_hidden_layers"]),
    "original_max_position_embeddings": (1, LIMITS["max_position_embeddings"]),
    "query_pre_attn_scalar": (1e-6, 1e9),
    "attn_logit_softcapping": (1e-6, 1e9),
    "final_logit_softcapping": (1e-6, 1e9),
    "partial_rotary_factor": (1e-3, 1),
    "rotary_pct": (1e-3, 1),
    "rotary_emb_base": (1e-6, 1e300),
    "rope_local_base_freq": (1e-6, 1e300),
    "rope_theta": (1e-6, 1e300),
    "factor": (1e-6, 1e9),
}


def check_settings(raw: dict[str, Any], *, where: str) -> None:
    """InputError for a setting outside of RANGES, in the rotary settings too. Null is silence."""
    for key, value in raw.items():
        if isinstance(value, dict):
            check_settings(value, where=where)
        elif key in RANGES and value is not None:
            lowest, highest = RANGES[key]
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and lowest <= value <= highest):
                says = f"{key} is {value!r:.60}; possible is {lowest:g} to {highest:g}."
                raise InputError(says, where=where, fix=FIX)


def declared(raw: dict[str, Any]) -> tuple[str | None, str | None]:
    """The architecture and model type that config.json names, as printable text; null where it names none."""
    named = raw.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    return _text(first), _text(raw.get("model_type"))


def parse_config(raw: dict[str, Any], *, where: str, defaults: Defaults, grouped: bool = True) -> ModelConfig:
    """Read the keys of a Hugging Face config.json, under any of their names. grouped: whether the family has fewer
    key-value heads than heads.

    Errors: InputError naming the key, for a missing size, a wrong type, a number below 1, not finite or beyond LIMITS.
    """

    def size(key: str, default: int | None = None) -> int:
        value = stated(raw, key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            says = "is missing" if value is None else f"is {value!r:.60}, not a whole number"
            raise InputError(f"{key} {says}.", where=where, fix=FIX)
        if not 1 <= value <= LIMITS[key]:
            raise InputError(f"{key} is {str(value)[:40]}; possible is 1 to {LIMITS[key]:,}.", where=where, fix=FIX)
        return value

    hidden, heads = size("hidden_size"), size("num_attention_heads")
    kv_heads = size("num_key_value_heads", heads) if grouped else heads
    if heads % kv_heads:
        raise InputError(f"{heads} heads cannot share {kv_heads} key-value heads evenly.", where=where, fix=FIX)
    if raw.get("head_dim") is None and defaults.head_dim is None and hidden % heads:
        raise InputError(f"hidden_size {hidden} is no multiple of {heads} heads.", where=where, fix=FIX)
    theta = stated(raw, "rope_theta")
    widened = hidden * defaults.intermediate_factor if defaults.intermediate_factor else None
    bias = _flag(raw, "attention_bias", where)
    architecture, model_type = declared(raw)
    return ModelConfig(
        hidden_size=hidden,
        num_layers=size("num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=size("head_dim", defaults.head_dim or hidden // heads or 1),
        intermediate_size=size("intermediate_size", widened),
        vocab_size=size("vocab_size"),
        max_position_embeddings=size("max_position_embeddings", defaults.max_position_embeddings),
        rms_norm_eps=_real(stated(raw, "rms_norm_eps"), defaults.rms_norm_eps, "rms_norm_eps", where, positive=False),
        rope_theta=None
        if defaults.rope_theta is None
        else _real(theta, defaults.rope_theta, "rope_theta", where, positive=True),
        tie_word_embeddings=_flag(raw, "tie_word_embeddings", where),
        declared_architecture=architecture,
        model_type=model_type,
        dtype=_text(stated(raw, "dtype")),
        attention_bias=defaults.attention_bias if bias is None else bias,
        rope_type=_text(stated(raw, "rope_type")) or "default",
        hidden_act=_text(stated(raw, "hidden_act")) or defaults.hidden_act,
    )


def _real(value: Any, default: float, key: str, where: str, *, positive: bool) -> float:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300 or not math.isfinite(value):
        raise InputError(f"{key} is {str(value)[:40]}, not a finite number.", where=where, fix=FIX)
    if value < 0 or (positive and value == 0):
        raise InputError(f"{key} is {value:g}, below what is possible.", where=where, fix=FIX)
    return float(value)


def _flag(raw: dict[str, Any], key: str, where: str) -> bool | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{key} is {value!r:.60}, neither true nor false.", where=where, fix=FIX)
    return value


def _text(value: Any) -> str | None:
    return one_line(value, 100) if is_text(value, 1000) else None
