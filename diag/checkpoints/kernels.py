"""The inner loops of a tensor scan: one look at each element gives every sum that the audit and the layout need.

`add_rows` and `add_rows_numpy` take the same arguments and give the same numbers, up to the order in which a row's
float64 sums are added (relative differences of 1e-14). Compiled: about 0.4 ns an element and thread; NumPy: 8 ns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from diag import jit
from diag.checkpoints.dtypes import Array

_INFINITY = 0x7F800000  # the bits of float32 infinity: a magnitude from here up is inf or NaN
# Sums of doubles may be reordered, or they would be added one by one: four to eight times slower.
REORDER = ("reassoc", "contract")


class State(NamedTuple):
    """The running sums of one tensor, seen as [lines, width]. Units: the tensor's.

    rows [lines], columns [width]: squared norms. totals: (sum, sum of squares). counts: (zeros, values that are not
    finite). extremes: smallest and largest, as int32 in the order of the floats. classes: squares added up over
    positions that agree modulo the residual width. cut_line, cut_at: where a border between stretches of the buffer
    cuts a row (at a column) or a column (at a row), by rows. parts, rests: what was added up there; place: the next
    border (sums.py).
    """

    rows: Array
    columns: Array
    totals: Array
    counts: Array
    extremes: Array
    classes: Array
    cut_line: Array
    cut_at: Array
    parts: Array
    rests: Array
    place: Array


AddRows = Callable[[Array, int, int, State], None]


@cache
def compiled_add_rows() -> AddRows:
    """`add_rows` as machine code. Cost: about 1 s once, then it is loaded from disk."""
    return jit.compiled(add_rows, REORDER)


@cache
def widen() -> Callable[[Array, Array, bool], None]:
    """(uint16 [n], uint32 [n] to fill, whether it is float16 rather than bfloat16): the bits of float32."""
    return jit.compiled(_widen)


def _widen(stored: Array, bits: Array, half: bool) -> None:
    """Compiled. float16 by integers alone: exponent and fraction move, subnormals are looked up by shifting."""
    if not half:
        for i in range(len(stored)):
            bits[i] = np.uint32(stored[i]) << np.uint32(16)
        return
    floats = bits.view(np.float32)
    for i in range(len(stored)):
        bits[i] = np.uint32(stored[i] & np.uint16(0x7FFF)) << np.uint32(13)
    for i in range(len(stored)):
        floats[i] *= np.float32(2.0**112)  # exact: it rebiases the exponent, and subnormals become normal
    for i in range(len(stored)):
        special = np.uint32(_INFINITY) if (stored[i] & np.uint16(0x7C00)) == np.uint16(0x7C00) else np.uint32(0)
        bits[i] |= special | (np.uint32(stored[i] & np.uint16(0x8000)) << np.uint32(16))


def add_rows(values: Array, first: int, side: int, state: State) -> None:  # noqa: PLR0912, PLR0915 compiled as a whole
    """Add float32 `values` [n, width], the tensor's rows from `first` on. `side`: 0 none, 1 columns, 2 rows.

    Values that are not finite are counted, set to 0 in `values`, and take part in nothing.
    """
    rows, columns, totals, counts, extremes, classes, cut_line, cut_at, parts, rests, place = state
    n, width = values.shape
    squares = np.empty(width, np.float64)
    for r in range(n):
        bits = values[r].view(np.int32)
        x = values[r]
        low, high, top = np.int32(0x7FFFFFFF), np.int32(-0x80000000), np.int32(0)
        zeros = np.int32(0)
        for j in range(width):
            b = bits[j]
            magnitude = np.int32(b & np.int32(0x7FFFFFFF))
            # As integers, floats of one sign are in order; the negative ones are turned round.
            key = np.int32(b ^ np.int32(np.int32(b >> np.int32(31)) & np.int32(0x7FFFFFFF)))
            low, high, top = min(low, key), max(high, key), max(top, magnitude)
            zeros += np.int32(magnitude == 0)
        if top >= _INFINITY:
            low, high = np.int32(0x7FFFFFFF), np.int32(-0x80000000)
            for j in range(width):
                b = bits[j]
                if np.int32(b & np.int32(0x7FFFFFFF)) >= _INFINITY:
                    counts[1] += 1
                    x[j] = 0.0
                else:
                    key = np.int32(b ^ np.int32(np.int32(b >> np.int32(31)) & np.int32(0x7FFFFFFF)))
                    low, high = min(low, key), max(high, key)
        counts[0] += zeros
        extremes[0], extremes[1] = min(extremes[0], low), max(extremes[1], high)
        line = first + r
        if side == 2:  # how much each column holds above this row, wherever a cut runs through it
            while place[0] < len(cut_line) and cut_line[place[0]] == line:
                parts[place[0]] = columns[cut_at[place[0]]]
                place[0] += 1
        total = square = 0.0
        for j in range(width):
            v = np.float64(x[j])
            q = v * v
            squares[j] = q
            columns[j] += q
            square += q
            total += v
        rows[line] = square
        totals[0] += total
        totals[1] += square
        if side == 1:
            kept = classes[line % len(classes)]
            period = len(kept)
            for block in range(width // period):
                added = squares[block * period : (block + 1) * period]
                for j in range(period):
                    kept[j] += added[j]
            before = 0
            while place[0] < len(cut_line) and cut_line[place[0]] == line:
                k = place[0]
                part = 0.0
                for j in range(before, cut_at[k]):
                    part += squares[j]
                before = cut_at[k]
                parts[k] = part
                place[0] += 1
                if place[0] == len(cut_line) or cut_line[place[0]] != line:
                    rest = 0.0
                    for j in range(before, width):
                        rest += squares[j]
                    rests[k] = rest
        elif side == 2:
            kept = classes[0]
            at, j = (line * width) % len(kept), 0
            while j < width:
                m = min(len(kept) - at, width - j)
                into, added = (
                    kept[at : at + m],
                    squares[j : j + m],
                )  # slices: no index can be negative, so it is vectorised
                for i in range(m):
                    into[i] += added[i]
                j += m
                at = 0


def add_rows_numpy(values: Array, first: int, side: int, state: State) -> None:
    """See add_rows."""
    rows, columns, totals, counts, extremes, classes, cut_line, cut_at, parts, rests, place = state
    n, width = values.shape
    good = np.isfinite(values)
    wide = np.where(good, values, np.float32(0)).astype(np.float64)
    counts[0] += values.size - np.count_nonzero(values)  # NaN is not zero
    counts[1] += values.size - int(good.sum())
    if good.any():
        kept = values if good.all() else values[good]
        found = np.array([kept.min(), kept.max()], np.float32).view(np.int32)
        found ^= (found >> 31) & 0x7FFFFFFF
        extremes[0], extremes[1] = min(extremes[0], found[0]), max(extremes[1], found[1])
    squares = wide * wide
    per_row = squares.sum(axis=1)
    stop = place[0] + int(np.searchsorted(cut_line[place[0] :], first + n))
    for k in range(place[0], stop):
        line, at = int(cut_line[k]) - first, int(cut_at[k])
        if side == 2:
            parts[k] = columns[at] + squares[:line, at].sum()
            continue
        same = k > 0 and cut_line[k - 1] == cut_line[k]
        parts[k] = squares[line, int(cut_at[k - 1]) if same else 0 : at].sum()
        if k + 1 == len(cut_line) or cut_line[k + 1] != cut_line[k]:
            rests[k] = squares[line, at:].sum()
    place[0] = stop
    rows[first : first + n] = per_row
    columns += squares.sum(axis=0)
    totals += wide.sum(), per_row.sum()
    if side == 1:
        folded = squares.reshape(n, -1, classes.shape[1]).sum(axis=1)
        done = 0
        while done < n:
            start = (first + done) % len(classes)
            take = min(len(classes) - start, n - done)
            classes[start : start + take] += folded[done : done + take]
            done += take
    elif side == 2:
        d = classes.shape[1]
        at = (np.arange(squares.size) + first * width) % d
        classes[0] += np.bincount(at, weights=squares.ravel(), minlength=d)
