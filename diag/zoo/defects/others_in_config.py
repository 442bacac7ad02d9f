"""Defects of config.json that none of H4A to H4D claims: rotary settings, activation, window, attention, residual."""

from __future__ import annotations

from typing import Any

from diag.zoo.defects.base import Defect, Generator, pick
from diag.zoo.model import ABSENT, Change, Model

ACTIVATIONS = {
    "silu": ("gelu", "relu"),
    "gelu_pytorch_tanh": ("silu", "relu"),
    "gelu_new": ("relu", "silu"),
    "gelu": ("relu", "silu"),
}


def _theta(rng: Generator, model: Model) -> Change | None:
    """Another rotary base, where the config states one."""
    theta = model.sizes.rope_theta
    if theta is None:
        return None
    other = theta * pick(rng, (0.01, 0.1, 10.0, 50.0, 100.0))
    change: dict[str, Any] = {}
    if isinstance(rope := model.config.get("rope_parameters"), dict) and "rope_theta" in rope:
        change["rope_parameters"] = rope | {"rope_theta": other}
    if (key := model.key("rope_theta")) in model.config:
        change[key] = other
    return Change(config=change) if change else None


def _scaling(rng: Generator, model: Model) -> Change | None:
    """Linear rotary scaling in a model that was trained without."""
    if model.sizes.rope_theta is None or model.family.name in ("gpt_neox", "gemma3", "phi3"):
        return None
    rope = model.config.get("rope_parameters")
    factor = pick(rng, (2.0, 4.0, 8.0))
    if isinstance(rope, dict):
        return Change(config={"rope_parameters": rope | {"rope_type": "linear", "factor": factor}})
    return Change(config={"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": factor}})


def _activation(rng: Generator, model: Model) -> Change | None:
    other = pick(rng, ACTIVATIONS.get(model.sizes.hidden_act, ("relu",)))
    keys = {key for key in ("hidden_act", "hidden_activation", "activation_function") if key in model.config}
    return Change(config=dict.fromkeys(sorted(keys), other)) if keys else None


def _window(rng: Generator, model: Model) -> Change | None:
    """A sliding window of a few ids, in a family that knows windows."""
    if "sliding_window" not in model.config or model.family.name not in ("mistral", "gemma2", "gemma3", "phi3"):
        return None
    return Change(config={"sliding_window": pick(rng, (4, 8, 16))})


def _attention_scale(rng: Generator, model: Model) -> Change | None:
    """The attention scale left out, so that the family's default holds, or another one."""
    if "query_pre_attn_scalar" not in model.config:
        return None
    return Change(config={"query_pre_attn_scalar": pick(rng, (ABSENT, 4, 1024))})


def _soft_cap(rng: Generator, model: Model) -> Change | None:
    if model.config.get("final_logit_softcapping") is None:
        return None
    return Change(config={"final_logit_softcapping": pick(rng, (1.0, 3.0, 5.0))})


def _sequential(rng: Generator, model: Model) -> Change | None:
    if not model.config.get("use_parallel_residual"):
        return None
    return Change(config={"use_parallel_residual": False})


def _heads(rng: Generator, model: Model) -> Change | None:
    """Twice as many heads of half the width over the same shapes."""
    if not model.family.grouped or {"q_norm", "qkv"} & set(model.roles("norm") + model.roles("matrix")):
        return None
    sizes = model.sizes
    return Change(
        config={
            "num_attention_heads": 2 * sizes.num_heads,
            "num_key_value_heads": 2 * sizes.num_kv_heads,
            "head_dim": sizes.head_dim // 2,
        }
    )


IN_CONFIG = (
    Defect("theta", "H4F", "sglang #14745", _theta, True, ("H4I",)),
    Defect("rotary_scaling", "H4F", "Megatron-LM #6305", _scaling, True, ("H4I",)),
    Defect("activation", "H4I", "TensorRT-Model-Connect #720", _activation, True),
    Defect("window", "H4I", "vLLM #21863", _window, True),
    Defect("attention_scale", "H4I", "llama.cpp #8197", _attention_scale, True),
    Defect("soft_cap", "H4I", "llama.cpp #8197", _soft_cap, True),
    Defect("sequential_residual", "H4I", "ggml #161", _sequential, True),
    Defect("heads", "H4I", "NeMo Skills #228", _heads, True, ("H4F",)),
)
