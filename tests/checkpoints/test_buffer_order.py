"""One buffer, three orders: each is checked element by element against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diag.checkpoints.buffer_order import BufferOrder, element, other_orders, places, reread, written

SIDE = st.integers(1, 9)


def numbered(rows: int, columns: int) -> np.ndarray:
    return np.arange(rows * columns, dtype=np.int64).reshape(rows, columns)


def by_column(matrix: np.ndarray) -> list[int]:
    """What a column-major writer puts on disk."""
    return [int(matrix[r, c]) for c in range(matrix.shape[1]) for r in range(matrix.shape[0])]


@given(SIDE, SIDE)
def test_a_matrix_written_column_by_column_is_read_back(rows: int, columns: int) -> None:
    matrix = numbered(rows, columns)
    buffer = np.array(by_column(matrix)).reshape(rows, columns)
    assert np.array_equal(reread(buffer, BufferOrder.COLUMN_MAJOR), matrix)
    assert np.array_equal(written(matrix, BufferOrder.COLUMN_MAJOR), buffer)


@given(SIDE, SIDE)
def test_a_column_major_read_is_undone(rows: int, columns: int) -> None:
    matrix, read = numbered(rows, columns), np.empty((rows, columns), np.int64)
    flat = matrix.reshape(-1)
    for r in range(rows):
        for c in range(columns):
            read[r, c] = flat[c * rows + r]
    assert np.array_equal(reread(read, BufferOrder.UNDO_COLUMN_MAJOR), matrix)


@given(SIDE, SIDE, st.sampled_from(BufferOrder))
def test_places_are_where_the_elements_lie(rows: int, columns: int, order: BufferOrder) -> None:
    buffer = numbered(rows, columns)
    found = places((rows, columns), order, np.arange(rows)[:, None], np.arange(columns)[None, :])
    assert np.array_equal(found, reread(buffer, order))


@given(SIDE, SIDE, st.sampled_from(BufferOrder))
def test_an_order_and_its_inverse_give_the_matrix_back(rows: int, columns: int, order: BufferOrder) -> None:
    matrix = numbered(rows, columns)
    assert np.array_equal(reread(written(matrix, order), order), matrix)
    assert written(matrix, order).flags.c_contiguous
    assert order.inverse.inverse is order


def test_a_square_matrix_has_one_other_order() -> None:
    assert other_orders((4, 4)) == (BufferOrder.COLUMN_MAJOR,)
    assert other_orders((4, 6)) == (BufferOrder.COLUMN_MAJOR, BufferOrder.UNDO_COLUMN_MAJOR)
    matrix = numbered(3, 3)
    assert np.array_equal(reread(matrix, BufferOrder.COLUMN_MAJOR), reread(matrix, BufferOrder.UNDO_COLUMN_MAJOR))


@pytest.mark.parametrize("order", [BufferOrder.AS_STORED, BufferOrder.COLUMN_MAJOR])
def test_the_cheap_orders_copy_nothing(order: BufferOrder) -> None:
    buffer = numbered(300, 200)
    assert np.shares_memory(reread(buffer, order), buffer)


@given(SIDE, SIDE, st.sampled_from(BufferOrder))
def test_an_element_is_found_where_its_place_is(rows: int, columns: int, order: BufferOrder) -> None:
    row, column = np.indices((rows, columns))
    at = places((rows, columns), order, row, column)
    assert np.array_equal(np.sort(at.reshape(-1)), np.arange(rows * columns))
    back = element((rows, columns), order, at)
    assert np.array_equal(back[0], row) and np.array_equal(back[1], column)
