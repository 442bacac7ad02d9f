"""Does one matrix hold another's numbers in a different order: transposed within its buffer, or with swapped bytes?

Both questions cost a sample of 512 positions, and where that matches, both tensors once more.
"""

from __future__ import annotations

import numpy as np

from diag.checkpoints.buffer_order import BufferOrder, places, reread
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import PIECE_ELEMENTS, Checkpoint, TensorInfo

_SAMPLE = 512  # positions compared before a whole matrix is
_MAX_FLOATS = 1 << 26  # elements held as float32, twice, where the stored bytes cannot be compared


def bytes_swapped(checkpoint: Checkpoint, a: TensorInfo, b: TensorInfo) -> bool:
    """Whether `a` is the matrix `b` with the bytes of each element reversed, and not equal anyway. False for quantised
    and transformed tensors, and for two types."""
    if not (_comparable(a, b) and _same_streams(a, b)):
        return False
    x, y = _units(checkpoint, a), _units(checkpoint, b)
    at = _sampled(x.size)
    if x.itemsize == 1 or not np.array_equal(x[at].byteswap(), y[at]) or np.array_equal(x[at], y[at]):
        return False
    return all(
        np.array_equal(x[start : start + PIECE_ELEMENTS].byteswap(), y[start : start + PIECE_ELEMENTS])
        for start in range(0, x.size, PIECE_ELEMENTS)
    )


def buffer_order(checkpoint: Checkpoint, a: TensorInfo, b: TensorInfo) -> BufferOrder | None:
    """The order in which the buffer of `a` must be read to give the matrix `b`; None if neither other order does.

    Two types, quantised and transformed tensors are compared as float32, up to 2^26 elements (0.5 GB of memory).
    """
    if not _comparable(a, b):
        return None
    if _same_streams(a, b):
        x, y = _units(checkpoint, a), _units(checkpoint, b)
    elif a.elements <= _MAX_FLOATS:
        x, y = (checkpoint.float32(t.name).reshape(-1).view(np.uint32) for t in (a, b))
    else:
        return None
    if _is_column_major(x, y, b.shape):
        return BufferOrder.COLUMN_MAJOR
    return BufferOrder.UNDO_COLUMN_MAJOR if _is_column_major(y, x, b.shape) else None


def _comparable(a: TensorInfo, b: TensorInfo) -> bool:
    return len(b.shape) == 2 and a.elements == b.elements and readable(a) and readable(b)


def _same_streams(a: TensorInfo, b: TensorInfo) -> bool:
    return a.dtype == b.dtype and a.streams and b.streams


def _units(checkpoint: Checkpoint, info: TensorInfo) -> Array:
    """The stored elements, flat, as whole numbers of their width."""
    return checkpoint.raw(info.name).view(f"u{DTYPES[info.dtype].block_bytes}")


def _sampled(size: int) -> Array:
    return np.random.default_rng(0).integers(0, size, _SAMPLE)


def _is_column_major(buffer: Array, matrix: Array, shape: tuple[int, ...]) -> bool:
    """Whether `buffer`, read column-major, is `matrix`: both flat, of the `shape` [rows, width]."""
    rows, width = shape
    at = _sampled(rows * width)
    there = places((rows, width), BufferOrder.COLUMN_MAJOR, at // width, at % width)
    if not np.array_equal(buffer[there], matrix[at]):
        return False
    meant, given = reread(buffer.reshape(shape), BufferOrder.COLUMN_MAJOR), matrix.reshape(shape)
    step = max(1, PIECE_ELEMENTS // width)
    return all(np.array_equal(meant[r : r + step], given[r : r + step]) for r in range(0, rows, step))
