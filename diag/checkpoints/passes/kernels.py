"""The inner loops of a tensor scan: one look at each element gives every sum that the audit needs.

`add_rows` and `add_rows_numpy` take the same arguments and give the same numbers, up to the order in which a row's
float64 sums are added (relative differences of 1e-14). Compiled: about 0.4 ns an element and thread; NumPy: 8 ns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from diag import jit
from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.sums import RunningSums

_INFINITY = 0x7F800000  # the bits of float32 infinity: a magnitude from here up is inf or NaN
# Sums of doubles may be reordered, or they would be added one by one: four to eight times slower.
REORDER = ("reassoc", "contract")


AddRows = Callable[[Array, int, RunningSums], None]


@cache
def compiled_add_rows() -> AddRows:
    """`add_rows` as machine code. Cost: about 1 s once, then it is loaded from disk."""
    compiled: AddRows = jit.compiled(add_rows, REORDER)
    return compiled


@cache
def widen() -> Callable[[Array, Array, bool], None]:
    """(uint16 [n], uint32 [n] to fill, whether it is float16 rather than bfloat16): the bits of float32."""
    compiled: Callable[[Array, Array, bool], None] = jit.compiled(_widen)
    return compiled


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


def add_rows(values: Array, first: int, sums: RunningSums) -> None:
    """Add float32 `values` [n, width], the tensor's rows from `first` on.

    Values that are not finite are counted, set to 0 in `values`, and take part in nothing.
    """
    rows, columns, totals, counts, extremes = sums
    n, width = values.shape
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
        total = square = 0.0
        for j in range(width):
            v = np.float64(x[j])
            q = v * v
            columns[j] += q
            square += q
            total += v
        rows[first + r] = square
        totals[0] += total
        totals[1] += square


def add_rows_numpy(values: Array, first: int, sums: RunningSums) -> None:
    """The same with NumPy; values that are not finite stay in `values`."""
    rows, columns, totals, counts, extremes = sums
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
    rows[first : first + len(values)] = per_row
    columns += squares.sum(axis=0)
    totals += wide.sum(), per_row.sum()
