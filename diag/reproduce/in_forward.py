"""Defects of a forward pass over sound weights: residual, rotary embedding, mask, norms, scales, activation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from diag.checkpoints.compare.config import SETTINGS
from diag.hypotheses.base import Context
from diag.hypotheses.h4f_rotary import bases, scalings, shares
from diag.hypotheses.h4i_configuration import heads
from diag.model.edits.drop_residual import DropResidual, Where
from diag.model.edits.leave_out_norm import LeaveOutNorm
from diag.model.edits.other_norm import OtherNorm
from diag.model.edits.scale_embedding import ScaleEmbedding
from diag.model.edits.scale_scores import ScaleScores
from diag.model.edits.set_config import SuggestConfig
from diag.model.edits.set_eps import SetEps
from diag.model.edits.set_mask import SetMask
from diag.model.edits.turn_rows import TurnRows
from diag.reproduce.base import Injection, RuntimeDefect

EPS = (1e-12, 1e-6, 1e-5, 1e-3)  # what runtimes have hard-coded, and one that costs loss
ACTIVATIONS = ("silu", "gelu", "gelu_pytorch_tanh", "relu")
MOST_SCALING = 4.0  # of linear rotary scalings, what is tried


def _residual(context: Context) -> Iterator[Injection]:
    words: dict[Where, str] = {
        "attention": "residual dropped at attention",
        "MLP": "residual dropped at the MLP",
        "both": "residual dropped at attention and MLP",
        "block": "residual dropped around the block",
    }
    parallel = context.checkpoint.raw_config.get("use_parallel_residual", context.family.name == "gpt_neox")
    for where, name in words.items():
        if where == "block" or not parallel:
            yield Injection(name, "residual", (DropResidual(where, context.family.updates),))


def _sequential(context: Context) -> Iterator[Injection]:
    """A parallel residual run as a sequential one, or the reverse."""
    key = "use_parallel_residual"
    if key in context.family.settings:
        now = bool(context.checkpoint.raw_config.get(key, True))
        words = "parallel residual run as sequential" if now else "sequential residual run as parallel"
        yield _set(words, "order of the updates", key, {key: not now})


def _angles(context: Context) -> Iterator[Injection]:
    if context.checkpoint.config.rope_theta is None:
        return
    yield Injection("no rotary embedding", "rotary angles", (TurnRows(0),))
    yield Injection("rotary embedding turns backwards", "rotary angles", (TurnRows(-1),))
    for repair in (*bases(context), *scalings(context), *shares(context)):
        factor = repair.name.rpartition("× ")[2] if repair.name.startswith("linear") else "0"
        if float(factor) <= MOST_SCALING:
            yield Injection(f"rotary: {repair.name}", "rotary settings", repair.edits, alone=repair.edge)


def _mask(context: Context) -> Iterator[Injection]:
    yield Injection("no causal mask", "mask", (SetMask(causal=False),))
    window = context.checkpoint.raw_config.get("sliding_window")
    if "sliding_window" in context.family.settings and isinstance(window, int) and window > 0:
        if context.checkpoint.raw_config.get("use_sliding_window") is not False:
            yield Injection("sliding window ignored", "mask", (SetMask(),))
        yield Injection(f"sliding window of {window} in every layer", "mask", (SetMask(window=window),))


def _caps(context: Context) -> Iterator[Injection]:
    usual = {"final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0} if context.family.name == "gemma2" else {}
    for key, words in (("final_logit_softcapping", "logits"), ("attn_logit_softcapping", "attention scores")):
        if key in context.family.settings and context.checkpoint.raw_config.get(key, usual.get(key)):
            yield _set(f"soft cap of the {words} ignored", f"cap of {words}", key, {key: None})


def _attention_scale(context: Context) -> Iterator[Injection]:
    config = context.checkpoint.config
    root = math.sqrt(config.head_dim)
    scales = {
        "attention scale left out": root,
        "attention scale applied twice": 1 / root,
        "attention scale of the whole width": math.sqrt(config.head_dim / config.hidden_size),
    }
    for words, by in scales.items():
        yield Injection(words, "attention scale", (ScaleScores(by),))


def _embedding_scale(context: Context) -> Iterator[Injection]:
    root = math.sqrt(context.checkpoint.config.hidden_size)
    yield Injection("embedding × √width", "embedding scale", (ScaleEmbedding(root),))
    yield Injection("embedding ÷ √width", "embedding scale", (ScaleEmbedding(1 / root),))


def _eps(context: Context) -> Iterator[Injection]:
    for eps in EPS:
        if eps != context.checkpoint.config.rms_norm_eps:
            yield Injection(f"norm eps {eps:g}", "eps", (SetEps(eps),))


def _norms(context: Context) -> Iterator[Injection]:
    kinds = "LayerNorm run as RMSNorm" if "final_norm_bias" in context.family.roles else "RMSNorm run as LayerNorm"
    yield Injection(kinds, "kind of norm", (OtherNorm(),))
    yield Injection("final norm left out", "norms left out", (LeaveOutNorm("final norm"),))
    if "q_norm" in context.family.roles:
        yield Injection("norms of q and k left out", "norms left out", (LeaveOutNorm("norms of q and k"),))


def _activation(context: Context) -> Iterator[Injection]:
    stated = [key for key in SETTINGS["activation"] if key in context.checkpoint.raw_config]
    keys = stated or [context.family.renamed.get("hidden_act", "hidden_act")]
    for other in ACTIVATIONS:
        if other != context.checkpoint.config.hidden_act:
            yield _set(f"activation {other}", "activation", "activation", dict.fromkeys(keys, other))


def _heads(context: Context) -> Iterator[Injection]:
    """The rows of q and k taken as half as many heads, or twice as many."""
    for odd in heads(context.checkpoint):
        for words, values in odd.others.items():
            yield replace(_set(f"heads: {words}", "heads", odd.setting, values), alone=True)


def _set(name: str, slot: str, setting: str, values: dict[str, Any]) -> Injection:
    return Injection(name, slot, (SuggestConfig(setting, json.dumps(values, sort_keys=True)),))


IN_FORWARD: tuple[RuntimeDefect, ...] = (
    RuntimeDefect("residual", "variant of mere-run#136", _residual),
    RuntimeDefect("order of the updates", "ggml-org/ggml#161", _sequential),
    RuntimeDefect(
        "rotary angles", "pytorch/torchtitan#3775, deepspeedai/DeepSpeed#8341, NVIDIA/Megatron-LM#6305", _angles
    ),
    RuntimeDefect("mask", "vllm-project/vllm#21863", _mask),
    RuntimeDefect("soft cap", "ggml-org/llama.cpp#8197", _caps),
    RuntimeDefect("attention scale", "ggml-org/llama.cpp#8197", _attention_scale),
    RuntimeDefect("embedding scale", "mattn/tensai#248", _embedding_scale),
    RuntimeDefect("eps", "ggml-org/llama.cpp#2373, lit-llama#339", _eps),
    RuntimeDefect("kind of norm", "paiml/aprender#1228, kekzl/imp#1289", _norms),
    RuntimeDefect("activation", "NVIDIA/TensorRT-Model-Connect#177", _activation),
    RuntimeDefect("heads", "NVIDIA-NeMo/Skills#228, minGPT#71", _heads),
)
