"""Sound checkpoints that look like broken ones: other types, permuted neurons, grown vocabularies, other trainings.

A control is a change in memory, a file of another format, another training of the model, or a shard of text that the
model does not know. Nothing in any of them is to be repaired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.zoo.defects.base import Generator, Plant, some_layers
from diag.zoo.model import Change, Model

Quantise = Callable[[Array], Array]


@dataclass(frozen=True)
class Control:
    """One kind of sound case. plant: the change in memory, None where the model has no such part. gguf: a type of
    blocks, to write a GGUF file. training: another training of the model, by its name in relatives.py. text: a kind of
    text in texts.py that makes the shard."""

    name: str
    plant: Plant = lambda rng, model: Change()
    gguf: str = ""
    training: str = ""
    text: str = ""


def q8_0(w: Array) -> Array:
    """Rounded as GGUF's Q8_0 does: blocks of 32 with a float16 scale, the largest is ±127. Source: gguf, quants.py."""
    blocks = w.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / np.float32(127)
    exact = blocks * _inverse(scale)
    codes = np.sign(exact) * np.floor(np.abs(exact) + np.float32(0.5))  # halves away from zero
    return np.asarray((codes * _as_half(scale)).reshape(w.shape))


def q4_0(w: Array) -> Array:
    """Rounded as GGUF's Q4_0 does: blocks of 32 with a float16 scale, the largest is −8. Source: gguf, quants.py."""
    blocks = w.reshape(-1, 32)
    scale = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1) / np.float32(-8)
    codes = np.clip(np.trunc(blocks * _inverse(scale) + np.float32(8.5)), 0, 15) - 8
    return np.asarray((codes * _as_half(scale)).reshape(w.shape))


def _inverse(scale: Array) -> Array:
    return np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)


def _as_half(scale: Array) -> Array:
    return scale.astype(np.float16).astype(np.float32)


def _rounded(quantise: Quantise) -> Plant:
    """Every projection rounded and written as float32: what a dequantised copy holds."""

    def plant(rng: Generator, model: Model) -> Change | None:
        names = [n for n in model.names(model.roles("matrix")) if model.tensors[n].shape[-1] % 32 == 0]
        return Change({n: quantise(model.tensors[n]) for n in names}, dtypes=dict.fromkeys(names, "F32"))

    return plant


def _as_type(dtype: str) -> Plant:
    return lambda rng, model: Change(dtypes=dict.fromkeys(model.tensors, dtype))


def _neurons_permuted(rng: Generator, model: Model) -> Change | None:
    """The hidden units of MLPs in another order: the rows of gate and up with the columns of down."""
    change: dict[str, Array | None] = {}
    for layer in some_layers(rng, model):
        order = rng.permutation(model.sizes.intermediate_size)
        for role in ("gate", "up", "up_bias", "gate_up", "down"):
            for name in model.names((role,), (layer,)):
                change[name] = _by_unit(model, role, model.tensors[name], order)
    return Change(change) if change else None


def _by_unit(model: Model, role: str, w: Array, order: Array) -> Array:
    if role == "gate_up":
        return np.concatenate([half[order] for half in np.split(w, 2)])
    axis = model.family.roles[role].shape.index("intermediate")
    return np.ascontiguousarray(np.take(w, order, axis=axis))


def _heads_permuted(rng: Generator, model: Model) -> Change | None:
    """Groups of heads in another order: rows of q, k, v and their biases, with the columns of o."""
    groups, width = model.sizes.num_kv_heads, model.sizes.head_dim
    if not model.names(("q",)) or groups < 2:
        return None
    change: dict[str, Array | None] = {}
    for layer in some_layers(rng, model):
        order = rng.permutation(groups)
        for role in ("q", "k", "v", "q_bias", "k_bias", "v_bias"):
            for name in model.names((role,), (layer,)):
                w = model.tensors[name]
                change[name] = np.ascontiguousarray(w.reshape(groups, -1, *w.shape[1:])[order].reshape(w.shape))
        for name in model.names(("o",), (layer,)):
            w = model.tensors[name].reshape(-1, groups, model.sizes.num_heads // groups * width)
            change[name] = np.ascontiguousarray(w[:, order].reshape(len(w), -1))
    return Change(change)


def _vocabulary_grown(rng: Generator, model: Model) -> Change | None:
    """Some rows more, each the mean of the others, as transformers adds them."""
    more = int(rng.choice((8, 64, 128)))
    change: dict[str, Array | None] = {}
    for name in (model.embedding, model.head):
        if (w := model.tensors.get(name)) is not None:
            change[name] = np.concatenate([w, np.repeat(w.mean(axis=0, keepdims=True), more, axis=0)])
    return Change(change, {"vocab_size": model.sizes.vocab_size + more})


def _head_beside_a_tie(rng: Generator, model: Model) -> Change | None:
    """The tied head is in the file too, byte for byte the embedding."""
    return Change({model.head: model.tensors[model.embedding]}) if model.tied else None


def _eps(rng: Generator, model: Model) -> Change | None:
    """The other usual epsilon."""
    config: dict[str, Any] = {model.key("rms_norm_eps"): 1e-5 if model.sizes.rms_norm_eps < 5e-6 else 1e-6}
    return Change(config=config)


CONTROLS = (
    Control("itself"),
    Control("q4_0_in_memory", _rounded(q4_0)),
    Control("q8_0_in_memory", _rounded(q8_0)),
    Control("q4_0_file", gguf="Q4_0"),
    Control("q8_0_file", gguf="Q8_0"),
    Control("float16", _as_type("F16")),
    Control("float32", _as_type("F32")),
    Control("neurons_permuted", _neurons_permuted),
    Control("heads_permuted", _heads_permuted),
    Control("merged_adapter", training="adapter"),
    Control("fine_tune", training="fine_tune"),
    Control("head_retrained", training="head"),
    Control("vocabulary_grown", _vocabulary_grown),
    Control("head_beside_a_tie", _head_beside_a_tie),
    Control("other_usual_eps", _eps),
    Control("another_language", text="language"),
    Control("dna", text="dna"),
    Control("base64", text="base64"),
)
