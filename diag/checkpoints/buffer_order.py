"""In which order a buffer holds its matrix: one name for each order, and one way to read it.

A tensor [out, in] is a buffer of out · in numbers and a shape, and the shape does not say whether the numbers were
written row by row. For the matrix W that was meant and the tensor B that is stored, both [out, in]:

    AS_STORED           W = B
    COLUMN_MAJOR        W = B.reshape(in, out).T   the bytes are W, written column by column
    UNDO_COLUMN_MAJOR   W = B.T.reshape(out, in)   the bytes went through a column-major read before

The last two undo each other. For a square matrix both are the transpose.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from diag.checkpoints.dtypes import Array


class BufferOrder(StrEnum):
    """How a stored [out, in] buffer must be read to give the matrix that was meant."""

    AS_STORED = "as_stored"
    COLUMN_MAJOR = "column_major"
    UNDO_COLUMN_MAJOR = "undo_column_major"

    @property
    def inverse(self) -> BufferOrder:
        """The order that gives back what was read in this one."""
        return _INVERSE[self]


_INVERSE = {
    BufferOrder.AS_STORED: BufferOrder.AS_STORED,
    BufferOrder.COLUMN_MAJOR: BufferOrder.UNDO_COLUMN_MAJOR,
    BufferOrder.UNDO_COLUMN_MAJOR: BufferOrder.COLUMN_MAJOR,
}


def other_orders(shape: tuple[int, ...]) -> tuple[BufferOrder, ...]:
    """The orders beside the stored one that give different matrices: a square matrix has one, the transpose."""
    square = shape[0] == shape[1]
    return (BufferOrder.COLUMN_MAJOR,) if square else (BufferOrder.COLUMN_MAJOR, BufferOrder.UNDO_COLUMN_MAJOR)


def reread(buffer: Array, order: BufferOrder) -> Array:
    """The matrix [out, in] that a buffer [out, in] holds in `order`, of the buffer's dtype.

    A view of a row-major buffer for AS_STORED and COLUMN_MAJOR; one copy for UNDO_COLUMN_MAJOR.
    """
    if order is BufferOrder.COLUMN_MAJOR:
        return buffer.reshape(buffer.shape[::-1]).T
    return buffer.T.reshape(buffer.shape) if order is BufferOrder.UNDO_COLUMN_MAJOR else buffer


def written(matrix: Array, order: BufferOrder) -> Array:
    """The buffer [out, in], row-major, that holds `matrix` in `order`: what `reread` undoes. Costs one copy at most."""
    return np.ascontiguousarray(reread(matrix, order.inverse))


def places(shape: tuple[int, int], order: BufferOrder, row: Array, column: Array) -> Array:
    """int64: where the elements (row, column) of the matrix lie in the row-major buffer [out, in] = `shape` that holds
    it in `order`. `row` and `column` broadcast against each other."""
    out, width = shape
    if order is BufferOrder.COLUMN_MAJOR:
        return column * out + row
    stored = row * width + column
    return stored if order is BufferOrder.AS_STORED else (stored % out) * width + stored // out


def element(shape: tuple[int, int], order: BufferOrder, at: Array) -> tuple[Array, Array]:
    """(row, column) of the elements at the flat positions `at` of the row-major buffer [out, in] = `shape` that holds
    the matrix in `order`: the inverse of `places`."""
    out, width = shape
    if order is BufferOrder.COLUMN_MAJOR:
        return at % out, at // out
    meant = at if order is BufferOrder.AS_STORED else (at % width) * out + at // width
    return meant // width, meant % width
