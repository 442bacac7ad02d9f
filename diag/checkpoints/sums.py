"""What one pass over a tensor adds up, and what becomes of it: norms by row and column, in three readings.

A [out, in] matrix M whose order was confused comes in two forms (profiles.py): `reread` and `rewritten`. Whichever side
faces the residual stream, one of the two needs sums over stretches of the buffer (which cut rows, or columns, in two),
and the other sums over positions that agree modulo the stream's width. Neither needs a second look at the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.families import Side
from diag.checkpoints.kernels import State

_SIDES: dict[Side | None, int] = {None: 0, "columns": 1, "rows": 2}
_PERIOD = 64  # columns are folded to about so many before they are kept by class: few enough for the cache
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Sums:
    """The running sums of one tensor, seen as [lines, width] (width is the last dimension); `side`: see add_rows."""

    shape: tuple[int, int]
    side: int
    state: State

    @classmethod
    def empty(cls, lines: int, width: int, side: Side | None = None) -> Sums:
        """Nothing added yet. `side`: which side of a matrix the readings are wanted for. Cost: about 8 bytes a row and
        column, and for "columns" up to 8 bytes × columns² where width and height share no factor."""
        line, at, classes = _NONE, _NONE, np.zeros((1, 1))
        if side == "columns":
            # Columns of M.T.reshape(out, in): M[v, i] goes to column (i · out + v) mod in, so rows that agree modulo
            # `in`, and columns that agree modulo in / gcd(in, out), may be added up.
            line, at = np.divmod(np.arange(1, width, dtype=np.int64) * lines, width)
            classes = np.zeros((min(lines, width), _period(width, width // gcd(width, lines))))
        elif side == "rows":
            at, line = np.divmod(np.arange(1, lines, dtype=np.int64) * width, lines)
            classes = np.zeros((1, lines))
            order = np.argsort(line, kind="stable")
            line, at = line[order], at[order]
        state = State(
            rows=np.zeros(lines),
            columns=np.zeros(width),
            totals=np.zeros(2),
            counts=np.zeros(2, np.int64),
            extremes=np.array([0x7FFFFFFF, -0x80000000], np.int32),
            classes=classes,
            cut_line=line,
            cut_at=at,
            parts=np.zeros(len(line)),
            rests=np.zeros(len(line)),
            place=np.zeros(1, np.int64),
        )
        return cls((lines, width), _SIDES[side], state)

    @property
    def range(self) -> tuple[float, float] | None:
        """Smallest and largest finite value; None where there is none."""
        low, high = (int(key) for key in self.state.extremes)
        if low > high:
            return None
        keys = np.array([low, high], np.int32)
        low_value, high_value = (keys ^ ((keys >> 31) & 0x7FFFFFFF)).astype(np.int32).view(np.float32)
        return float(low_value), float(high_value)

    def readings(self) -> Array | None:
        """float64 [3, d]: squared norms along the residual side as stored, reread and rewritten; None without side."""
        state = self.state
        if self.side == 1:
            width = self.shape[1]
            whole = _uncut(self.shape[0], state.cut_line)
            last = np.append(state.cut_line[1:] != state.cut_line[:-1], True)[: len(state.cut_line)]
            reread = _segments(state.rows, whole, self.shape, state.parts, np.where(last, state.rests, 0.0))
            period = width // gcd(width, self.shape[0])
            folded = state.classes.reshape(len(state.classes), -1, period).sum(axis=1)
            v, r = np.indices(folded.shape)
            target = (r * self.shape[0] + v) % width
            rewritten = np.bincount(target.ravel(), weights=folded.ravel(), minlength=width)
            return np.stack([state.columns, reread, rewritten])
        if self.side == 2:
            order = np.lexsort((state.cut_line, state.cut_at))
            column, above = state.cut_at[order], state.parts[order]
            same = np.concatenate([[False], column[1:] == column[:-1]])[: len(column)]
            parts = above - np.where(same, np.roll(above, 1), 0.0)
            last = np.append(~same[1:], True)[: len(column)]
            rests = np.where(last, state.columns[column] - above, 0.0)
            whole = _uncut(self.shape[1], column)
            rewritten = _segments(state.columns, whole, self.shape[::-1], parts, rests)
            return np.stack([state.rows, state.classes[0], rewritten])
        return None


def flattened(shape: tuple[int, ...]) -> tuple[int, int]:
    """(lines, width) of a tensor: its last dimension is the width."""
    width = shape[-1] if shape else 1
    return prod(shape[:-1]), width


def variation(norms: Array) -> float | None:
    """Coefficient of variation (standard deviation / mean) of row norms [rows]; null when they are all zero."""
    mean = float(norms.mean()) if norms.size else 0.0
    return float(norms.std()) / mean if mean > 0 else None


def fresh_variation(width: int) -> float:
    """Coefficient of variation of the row norms of a Gaussian matrix of this width: 1/√(2d)."""
    return float(1.0 / np.sqrt(2.0 * max(1, width)))


def _period(width: int, period: int) -> int:
    """The largest divisor of `width` up to _PERIOD that is a multiple of `period`, which divides `width` too."""
    blocks = width // period
    return period * max((k for k in range(1, blocks + 1) if blocks % k == 0 and period * k <= _PERIOD), default=1)


def _uncut(count: int, cut: Array) -> Array:
    """Lines of 0 … count − 1 that are not in `cut`."""
    free = np.ones(count, bool)
    free[cut] = False
    return np.flatnonzero(free)


def _segments(lines: Array, whole: Array, shape: tuple[int, int], parts: Array, rests: Array) -> Array:
    """[width]: sums over `width` stretches of `count` elements each, of a [count, width] buffer in row-major order.

    lines: the sum of each line. whole: lines that no border between stretches cuts. parts, rests: for the border after
    each stretch but the last, what its line holds between it and the border (or line start) before, and, if it is the
    line's last border, after it.
    """
    count, width = shape
    found = np.bincount(whole * width // count, weights=lines[whole], minlength=width).astype(np.float64)
    found[:-1] += parts
    found[1:] += rests
    return found
