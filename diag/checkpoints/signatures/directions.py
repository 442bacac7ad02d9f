"""How the dimensions of the residual stream go together in one matrix, for each order its buffer may be read in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from diag.checkpoints.buffer_order import BufferOrder, places
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.families import Side
from diag.checkpoints.reader import Checkpoint

ORDERS = tuple(BufferOrder)  # the stored one first


class Sample(NamedTuple):
    """How much of a matrix is looked at, so that its cost does not depend on its size: `dimensions` of the residual
    stream, the same ones for every matrix of a width, and `vectors` of those along the other axis."""

    dimensions: int
    vectors: int


# Chance correlates as 1/dimensions: of width 256, 128 still found every misread matrix and 64 found 82 of 86; 256
# vectors did as well as 1024. A glance is enough to see that all matrices of a sound file resemble each other.
FULL, GLANCE = Sample(384, 512), Sample(256, 512)


def directions(
    checkpoint: Checkpoint, name: str, side: Side, orders: Sequence[BufferOrder] = ORDERS, sample: Sample = FULL
) -> Array:
    """float16 [orders, pairs]: a matrix, in each of `orders`, as a standardised profile over pairs of dimensions.

    Entry (i, j), i > j: the cosine of what the matrix holds for dimensions i and j, over its columns (`side` "columns")
    or rows ("rows"), brought to mean 0 and variance 1 over all pairs; of 384 dimensions there are 73 536. A matrix that
    is constant or holds numbers that are not finite gives zeros: it correlates with nothing.
    Cost: about 2 ms an order and 10 MB a matrix, whatever its size; a quantised or permuted one is decoded whole.
    """
    info = checkpoint.info(name)
    kind, raw = DTYPES[info.dtype], checkpoint.raw(name)

    def gather(where: Array) -> Array:
        chosen = np.take(raw.view(f"u{kind.block_bytes}"), where.reshape(-1))
        return kind.floats(chosen.view(np.uint8), where.shape)

    if not info.streams:
        return directions_of(checkpoint.float32(name), side, orders, sample)
    return _in_each_order(gather, info.shape, side, orders, sample)


def directions_of(values: Array, side: Side, orders: Sequence[BufferOrder] = ORDERS, sample: Sample = FULL) -> Array:
    """The same for a matrix in memory, float32 [out, in]."""
    buffer = np.ascontiguousarray(values).reshape(-1)
    return _in_each_order(lambda where: buffer[where], values.shape, side, orders, sample)


def _in_each_order(
    gather: Callable[[Array], Array], shape: tuple[int, ...], side: Side, orders: Sequence[BufferOrder], sample: Sample
) -> Array:
    found = [_pairs(gather(_places(shape, side, order, sample))) for order in orders]
    return np.stack(found).astype(np.float16)


@lru_cache(maxsize=16)
def _places(shape: tuple[int, int], side: Side, order: BufferOrder, sample: Sample) -> Array:
    """int64 [vectors, dimensions]: where the sampled elements lie in the row-major buffer that holds the matrix in
    `order`. Kept, because the matrices of a model have few shapes; 1.6 MB each."""
    out, width = shape
    facing, along = (width, out) if side == "columns" else (out, width)
    dims, vectors = _some(facing, sample.dimensions)[None, :], _some(along, sample.vectors)[:, None]
    row, column = (vectors, dims) if side == "columns" else (dims, vectors)
    return places(shape, order, row, column)


def _some(total: int, most: int) -> Array:
    """int64: `most` of range(total) in order, always the same ones; all of them if there are no more. Not evenly
    spaced: a step that divides the size of a head would look at the same place of every head."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(total).choice(total, most, replace=False))


def _pairs(vectors: Array) -> Array:
    """float32 [pairs], standardised, from float32 [vectors, dimensions]; zeros where that says nothing."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scaled = vectors / np.abs(vectors).max(initial=0.0)  # squares of a float32 may overflow
        norms = np.linalg.norm(scaled, axis=0)
        scaled /= np.where(norms > 0, norms, 1.0)
        cosines = (scaled.T @ scaled)[np.tri(len(norms), k=-1, dtype=bool)]
        spread = cosines.std() if cosines.size else 0.0
        usable = np.isfinite(spread) and spread > 1e-6
        standardised: Array = (cosines - cosines.mean()) / spread if usable else np.zeros_like(cosines)
    return standardised
