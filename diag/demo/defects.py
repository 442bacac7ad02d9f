"""Defects planted in copies of the healthy checkpoint: a table, and one small function for each.

A function takes the raw arrays (u16 bit patterns of bfloat16, see tensors.py) and returns the arrays that differ.
Every defect leaves names, shapes and types plausible: the file loads without an error, and the model is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.buffer_order import BufferOrder, written
from diag.demo.tensors import Tensors, to_bits, to_float

EMBEDDING = "model.embed_tokens.weight"
HEAD = "lm_head.weight"
SEED = 0

Change = Callable[[Tensors], Tensors]


@dataclass(frozen=True)
class Defect:
    """One planted checkpoint. `planted` names the hypotheses that are true of it; `changes` are applied in order."""

    name: str
    planted: tuple[str, ...]
    description: str
    changes: tuple[Change, ...]

    def apply(self, tensors: Tensors) -> Tensors:
        """A new dict; arrays that the defect does not touch are shared with `tensors`, none is written to."""
        broken = dict(tensors)
        for change in self.changes:
            broken |= change(broken)
        return broken


def column_major(matrix: np.ndarray) -> np.ndarray:
    """The buffer of a column-major [out, in] matrix, read as row-major [out, in]: same shape, another matrix.

    Writing W column-major lays out W.T row by row.
    """
    return written(matrix, BufferOrder.COLUMN_MAJOR)


def random_head(tensors: Tensors) -> Tensors:
    """A Gaussian `lm_head` with the embedding's standard deviation, though the config ties the two."""
    embedding = to_float(tensors[EMBEDDING])
    noise = np.random.default_rng(SEED).standard_normal(embedding.shape, dtype=np.float32)
    return {HEAD: to_bits(noise * embedding.std(dtype=np.float64).astype(np.float32))}


def gates_column_major(tensors: Tensors) -> Tensors:
    """Every `gate_proj` written column-major."""
    return {name: column_major(w) for name, w in tensors.items() if name.endswith(".gate_proj.weight")}


def ups_column_major(tensors: Tensors) -> Tensors:
    """Every `up_proj` written column-major."""
    return {name: column_major(w) for name, w in tensors.items() if name.endswith(".up_proj.weight")}


def norms_plus_one(tensors: Tensors) -> Tensors:
    """Every RMSNorm weight stored with 1 added, as by a converter for the offset convention, which Qwen2 has not."""
    return {name: to_bits(to_float(w) + 1) for name, w in tensors.items() if name.endswith("norm.weight")}


def first_down_zero(tensors: Tensors) -> Tensors:
    """Layer 0's `down_proj` never filled: the block's second half adds nothing to the stream."""
    name = "model.layers.0.mlp.down_proj.weight"
    return {name: np.zeros_like(tensors[name])}


DEFECTS: tuple[Defect, ...] = (
    Defect("h4a-random-head", ("H4A",), "a random lm_head beside a config that ties it", (random_head,)),
    Defect("h4b-gate-column-major", ("H4B",), "all gate_proj matrices column-major", (gates_column_major,)),
    Defect("h4c-norm-plus-one", ("H4C",), "the norm offset of 1 applied twice", (norms_plus_one,)),
    Defect("h4d-zero-down-proj", ("H4D",), "layer 0's down_proj all zeros", (first_down_zero,)),
    Defect(
        "h4a-h4b-two-defects",
        ("H4A", "H4B"),
        "a random lm_head, and behind it all up_proj matrices column-major",
        (random_head, ups_column_major),
    ),
)
