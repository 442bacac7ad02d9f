"""Two tensors of one shape read side by side: what one pass adds up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.rounding import Rounding

BLOCK = 1 << 15  # elements worked on at once: their float64 copies stay in the cache of a core


@dataclass(frozen=True)
class PairedSums:
    """PairedSums over the elements that are finite in both tensors, a here and b there, in float64."""

    count: int
    a: float
    b: float
    aa: float
    bb: float
    ab: float


class PairedPass:
    """What is known after the pieces added so far. largest: |a − b|, NaN where only one is. difference: Σ (a − b)².
    equal of `rows`: rows with equal bits. outside: elements that rounding does not explain. peak: the largest |b|."""

    def __init__(self) -> None:
        self.rows = self.equal = self.outside = self._count = 0
        self.largest = self.difference = self.peak = 0.0
        self._a = self._b = self._aa = self._bb = self._ab = 0.0

    @property
    def sums(self) -> PairedSums:
        """The sums so far."""
        return PairedSums(self._count, self._a, self._b, self._aa, self._bb, self._ab)

    def add(self, x: Array, y: Array, rule: Rounding) -> None:
        """Take in float32 [rows, columns] of both. Cost: about 8 ns an element."""
        step = max(1, BLOCK // max(1, x.shape[1]))
        for first in range(0, len(x), step):
            self._block(x[first : first + step], y[first : first + step], rule)

    def _block(self, x: Array, y: Array, rule: Rounding) -> None:
        same = x.view(np.uint32) == y.view(np.uint32)
        by_row = same.all(axis=1)
        rows, equal = len(by_row), int(np.count_nonzero(by_row))
        self.rows, self.equal = self.rows + rows, self.equal + equal
        with np.errstate(invalid="ignore", over="ignore"):
            wide_x = x.astype(np.float64).ravel()
            wide_y = wide_x if equal == rows else y.astype(np.float64).ravel()
        aa, bb = float(wide_x @ wide_x), float(wide_y @ wide_y)
        if not math.isfinite(aa + bb):
            good = np.isfinite(wide_x) & np.isfinite(wide_y)
            wide_x, wide_y = wide_x[good], wide_y[good]
            aa, bb = float(wide_x @ wide_x), float(wide_y @ wide_y)
        self._count += wide_x.size
        self._aa, self._bb = self._aa + aa, self._bb + bb
        self._a, self._b = self._a + float(wide_x.sum()), self._b + float(wide_y.sum())
        self.peak = max(self.peak, float(wide_y.max(initial=0.0)), -float(wide_y.min(initial=0.0)))
        if equal == rows:
            self._ab += aa
            return
        self._ab += float(wide_x @ wide_y)
        gaps = wide_x - wide_y
        self.difference += float(gaps @ gaps)
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(x - y)
        gap[same] = 0.0  # infinity − infinity is NaN, and no difference
        self.largest = float(np.maximum(self.largest, gap.max()))  # np.maximum keeps NaN
        if rule.norm is None:
            self.outside += int(np.count_nonzero(rule.outside(x, y)))
