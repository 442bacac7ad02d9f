"""What one pass over a tensor adds up: its sums, and norms by row and column."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np

from diag.checkpoints.dtypes import Array


class RunningSums(NamedTuple):
    """The running sums of one tensor, seen as [lines, width] (width is the last dimension). Units: the tensor's.

    rows [lines], columns [width]: squared norms. totals: (sum, sum of squares). counts: (zeros, values that are not
    finite). extremes: smallest and largest, as int32 in the order of the floats.
    """

    rows: Array
    columns: Array
    totals: Array
    counts: Array
    extremes: Array

    @classmethod
    def empty(cls, lines: int, width: int) -> RunningSums:
        """Nothing added yet. Cost: 8 bytes a row and column."""
        return cls(
            rows=np.zeros(lines),
            columns=np.zeros(width),
            totals=np.zeros(2),
            counts=np.zeros(2, np.int64),
            extremes=np.array([0x7FFFFFFF, -0x80000000], np.int32),
        )

    @property
    def range(self) -> tuple[float, float] | None:
        """Smallest and largest finite value; None where there is none."""
        low, high = (int(key) for key in self.extremes)
        if low > high:
            return None
        keys = np.array([low, high], np.int32)
        low_value, high_value = (keys ^ ((keys >> 31) & 0x7FFFFFFF)).astype(np.int32).view(np.float32)
        return float(low_value), float(high_value)


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
