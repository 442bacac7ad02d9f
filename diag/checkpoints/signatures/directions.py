"""How the dimensions of the residual stream go together in one matrix, for each order its buffer may be read in.

What a matrix holds for a dimension has a mean over its rows (or columns), which in a large model may be half the size
of what there is around it. Read in a wrong order, a matrix of width w shows those w means again and again, each column
of the reading from another one on; two columns that begin at the same one then go together. That depends on the shape
alone: columns of gate [4864, 896] and embedding [151936, 896] both begin at every 128th, so that their wrong readings
resemble each other more than the right ones do. So a reading is taken without the means that other orders would give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from diag.checkpoints.buffer_order import BufferOrder, element, other_orders, places
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
_CONSTANT = 1e-6  # of the largest value: what varies less is rounding
_SCATTERS = 3  # standard deviations from which means of a reading are more than chance
_RUN = 64  # neighbouring elements that are read together for the means


def directions(
    checkpoint: Checkpoint, name: str, side: Side, orders: Sequence[BufferOrder] = ORDERS, sample: Sample = FULL
) -> Array:
    """float16 [orders, pairs]: a matrix, in each of `orders`, as a standardised profile over pairs of dimensions.

    Entry (i, j), i > j: the correlation of what the matrix holds for dimensions i and j, over its columns (`side`
    "columns") or rows ("rows"), brought to mean 0 and variance 1 over all pairs; of 384 dimensions there are 73 536. A
    matrix that is constant or holds numbers that are not finite gives zeros: it correlates with nothing.
    Cost: the matrix is read, then about 2 ms an order and 10 MB; a quantised or permuted one is decoded.
    """
    info = checkpoint.info(name)
    if not info.streams:
        return directions_of(checkpoint.float32(name), side, orders, sample)
    kind, raw = DTYPES[info.dtype], checkpoint.raw(name)

    def gather(where: Array) -> Array:
        chosen = np.take(raw.view(f"u{kind.block_bytes}"), where.reshape(-1))
        return kind.floats(chosen.view(np.uint8), where.shape)

    return _in_each_order(gather, info.shape, side, orders, sample)


def directions_of(values: Array, side: Side, orders: Sequence[BufferOrder] = ORDERS, sample: Sample = FULL) -> Array:
    """The same for a matrix in memory, float32 [out, in]."""
    buffer = np.ascontiguousarray(values).reshape(-1)
    return _in_each_order(lambda where: buffer[where], values.shape, side, orders, sample)


def _in_each_order(
    gather: Callable[[Array], Array], shape: tuple[int, ...], side: Side, orders: Sequence[BufferOrder], sample: Sample
) -> Array:
    each = (BufferOrder.AS_STORED, *other_orders(shape))
    found = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        means = _means(gather, shape, side, [o for o in each if tuple(orders) != (o,)], sample)
        for order in orders:
            values = gather(_places(shape, side, order, sample))
            same = BufferOrder.COLUMN_MAJOR if order not in each else order  # of a square matrix both are the transpose
            for other, mean in means.items():
                if other is not same:
                    values = values - mean[_dimensions(shape, side, order, other, sample)]
            found.append(_pairs(values))
    return np.stack(found).astype(np.float16)


def _means(
    gather: Callable[[Array], Array], shape: tuple[int, ...], side: Side, orders: Sequence[BufferOrder], sample: Sample
) -> dict[BufferOrder, Array]:
    """float32 [dimensions of the whole side] for each order whose means are more than chance: what the matrix holds for
    a dimension in the mean, less the mean of all, from about vectors / 2 elements a dimension.

    Means by chance are left in: to take them out would make neighbours of the buffer resemble each other. The others
    are shrunk by the share of chance in them.
    """
    facing = shape[1] if side == "columns" else shape[0]
    values = gather(_runs(shape[0] * shape[1], facing * sample.vectors // 2)).reshape(-1).astype(np.float64)
    values -= values.mean()
    found = {}
    for order in orders:
        at = _means_dimensions(shape, side, order, sample)
        count = np.maximum(np.bincount(at, minlength=facing), 1)
        means = np.bincount(at, values, minlength=facing) / count
        by_chance = values.var() * (1 / count).mean()
        spread = np.square(means).mean()
        if spread > by_chance * (1 + _SCATTERS * np.sqrt(2 / facing)):
            found[order] = (means * (1 - by_chance / spread)).astype(np.float32)
    return found


@lru_cache(maxsize=16)
def _places(shape: tuple[int, int], side: Side, order: BufferOrder, sample: Sample) -> Array:
    """int64 [vectors, dimensions]: where the sampled elements lie in the row-major buffer that holds the matrix in
    `order`. Kept, because the matrices of a model have few shapes; 1.6 MB each."""
    out, width = shape
    facing, along = (width, out) if side == "columns" else (out, width)
    dims, vectors = _some(facing, sample.dimensions)[None, :], _some(along, sample.vectors)[:, None]
    row, column = (vectors, dims) if side == "columns" else (dims, vectors)
    return places(shape, order, row, column)


@lru_cache(maxsize=32)
def _dimensions(shape: tuple[int, int], side: Side, order: BufferOrder, other: BufferOrder, sample: Sample) -> Array:
    """int64 [vectors, dimensions]: the dimension that an element of the reading in `order` has in that of `other`."""
    return element(shape, other, _places(shape, side, order, sample))[1 if side == "columns" else 0]


@lru_cache(maxsize=8)
def _runs(total: int, most: int) -> Array:
    """int64: about `most` positions of range(total), in runs that lie anywhere; all of them if there are no more."""
    if total <= most:
        return np.arange(total)
    starts = np.sort(np.random.default_rng(total).integers(0, total - _RUN + 1, most // _RUN))
    return (starts[:, None] + np.arange(_RUN)).reshape(-1)


@lru_cache(maxsize=16)
def _means_dimensions(shape: tuple[int, int], side: Side, order: BufferOrder, sample: Sample) -> Array:
    """int64: the dimension of each position of `_runs` in the reading in `order`."""
    facing = shape[1] if side == "columns" else shape[0]
    at = _runs(shape[0] * shape[1], facing * sample.vectors // 2)
    return element(shape, order, at)[1 if side == "columns" else 0]


def _some(total: int, most: int) -> Array:
    """int64: `most` of range(total) in order, always the same ones; all of them if there are no more. Not evenly
    spaced: a step that divides the size of a head would look at the same place of every head."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(total).choice(total, most, replace=False))


def _pairs(vectors: Array) -> Array:
    """float32 [pairs], standardised, from float32 [vectors, dimensions]; zeros where that says nothing."""
    scaled = vectors / np.abs(vectors).max(initial=0.0)  # squares of a float32 may overflow
    scaled -= scaled.mean(axis=0)
    norms = np.linalg.norm(scaled, axis=0)
    scaled /= np.where(norms > _CONSTANT * np.sqrt(len(scaled)), norms, np.inf)
    cosines = (scaled.T @ scaled)[np.tri(len(norms), k=-1, dtype=bool)]
    spread = cosines.std() if cosines.size else 0.0
    usable = np.isfinite(spread) and spread > _CONSTANT
    standardised: Array = (cosines - cosines.mean()) / spread if usable else np.zeros_like(cosines)
    return standardised
