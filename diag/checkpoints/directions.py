"""How the dimensions of the residual stream go together in one matrix, for each order its buffer may be read in.

A [out, in] matrix M whose order was confused comes in two forms, and neither changes the shape:
`reread`: M.reshape(in, out).T undoes a column-major buffer that was read as row-major;
`rewritten`: M.T.reshape(out, in) undoes a row-major buffer that somebody read as column-major and wrote again.
For a square matrix both are the plain transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.families import Side
from diag.checkpoints.reader import Checkpoint

READINGS = ("stored", "reread", "rewritten")
# Sampled, so that the cost of a matrix does not depend on its size. Chance correlates as 1/DIMENSIONS: of width 256,
# 128 dimensions still found every misread matrix and 64 found 82 of 86; 256 vectors did as well as 1024.
DIMENSIONS, VECTORS = 384, 512


def directions(checkpoint: Checkpoint, name: str, side: Side, readings: Sequence[str] = READINGS) -> Array:
    """float16 [readings, pairs]: a matrix, in each of `readings`, as a standardised profile over pairs of dimensions.

    Entry (i, j), i > j: the cosine of what the matrix holds for dimensions i and j, over its columns (`side` "columns")
    or rows ("rows"), brought to mean 0 and variance 1 over all pairs. At most DIMENSIONS dimensions, the same ones for
    every matrix of a width, and VECTORS of the vectors along the other axis, so at most 73 536 pairs. A matrix that is
    constant or holds numbers that are not finite gives zeros: it correlates with nothing.
    Cost: about 2 ms a reading and 10 MB a matrix, whatever its size; a quantised or permuted one is decoded whole.
    """
    info = checkpoint.info(name)
    kind, raw = DTYPES[info.dtype], checkpoint.raw(name)

    def gather(where: Array) -> Array:
        chosen = np.take(raw.view(f"u{kind.block_bytes}"), where.reshape(-1))
        return kind.floats(chosen.view(np.uint8), where.shape)

    if not info.streams:
        return directions_of(checkpoint.float32(name), side, readings)
    return _readings(gather, info.shape, side, readings)


def directions_of(values: Array, side: Side, readings: Sequence[str] = READINGS) -> Array:
    """The same for a matrix in memory, float32 [out, in]."""
    buffer = np.ascontiguousarray(values).reshape(-1)
    return _readings(lambda where: buffer[where], values.shape, side, readings)


def _readings(gather: Callable[[Array], Array], shape: tuple[int, ...], side: Side, readings: Sequence[str]) -> Array:
    return np.stack([_pairs(gather(_places(shape, side, reading))) for reading in readings]).astype(np.float16)


@lru_cache(maxsize=16)
def _places(shape: tuple[int, int], side: Side, reading: str) -> Array:
    """int64 [vectors, dimensions]: where the sampled elements lie in the row-major buffer, under a reading. Kept,
    because the matrices of a model have few shapes; 1.6 MB each."""
    out, width = shape
    facing, along = (width, out) if side == "columns" else (out, width)
    dims, vectors = _sample(facing, DIMENSIONS)[None, :], _sample(along, VECTORS)[:, None]
    row, column = (vectors, dims) if side == "columns" else (dims, vectors)
    if reading == "reread":
        return column * out + row
    stored = row * width + column
    return stored if reading == "stored" else (stored % out) * width + stored // out


def _sample(total: int, most: int) -> Array:
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
