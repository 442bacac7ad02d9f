"""Does one matrix hold another's numbers in a different order: transposed within its buffer, or with swapped bytes?"""

from __future__ import annotations

from enum import Enum

import numpy as np

from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import PIECE_ELEMENTS, Checkpoint, TensorInfo

_SAMPLE = 512  # positions compared before a whole matrix is
_MAX_FLOATS = 1 << 26  # elements held as float32, twice, where the stored bytes cannot be compared


class Order(Enum):
    """What differs: the order of rows and columns in the buffer, or of the bytes in each element."""

    MATRIX = "matrix"
    BYTES = "bytes"


def other_order(checkpoint: Checkpoint, a: TensorInfo, b: TensorInfo) -> Order | None:
    """How `a` holds the numbers of the matrix `b`, if it is in another order; None if it does not.

    Cost: a sample of 512 positions, and where that matches, both once more. Two types, quantised and transformed
    tensors are compared as float32, up to 2^26 elements (0.5 GB of memory).
    """
    if len(b.shape) != 2 or a.elements != b.elements or not (readable(a) and readable(b)):
        return None
    if a.dtype == b.dtype and a.streams and b.streams:
        unit = f"u{DTYPES[a.dtype].block_bytes}"
        x, y = checkpoint.raw(a.name).view(unit), checkpoint.raw(b.name).view(unit)
        if x.itemsize > 1 and _is_swapped(x, y):
            return Order.BYTES
    elif a.elements <= _MAX_FLOATS:
        x, y = (checkpoint.float32(t.name).reshape(-1).view(np.uint32) for t in (a, b))
    else:
        return None
    rows, width = b.shape
    return Order.MATRIX if _is_transposed(x, y, rows, width) or _is_transposed(y, x, rows, width) else None


def _sampled(size: int) -> Array:
    return np.random.default_rng(0).integers(0, size, _SAMPLE)


def _is_swapped(a: Array, b: Array) -> bool:
    """Whether a [n] is b [n] with the bytes of each element reversed, and not equal anyway."""
    at = _sampled(a.size)
    if not np.array_equal(a[at].byteswap(), b[at]) or np.array_equal(a[at], b[at]):
        return False
    return all(
        np.array_equal(a[start : start + PIECE_ELEMENTS].byteswap(), b[start : start + PIECE_ELEMENTS])
        for start in range(0, a.size, PIECE_ELEMENTS)
    )


def _is_transposed(a: Array, b: Array, rows: int, width: int) -> bool:
    """Whether a [rows · width] read as [width, rows] and transposed is b read as [rows, width]."""
    at = _sampled(rows * width)
    if not np.array_equal(a[at], b[(at % rows) * width + at // rows]):
        return False
    wide, tall = a.reshape(width, rows), b.reshape(rows, width)
    step = max(1, PIECE_ELEMENTS // width)
    return all(np.array_equal(wide[:, r : r + step].T, tall[r : r + step]) for r in range(0, rows, step))
