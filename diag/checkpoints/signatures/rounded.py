"""Are two matrices two roundings of one? Answered from what their stored types can lose, passes/rounding.py."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.rounding import SMALLEST, rounding
from diag.checkpoints.reader import TensorInfo
from diag.results.thresholds_checkpoints import TIE_ROUNDED_COSINE, TIE_ROUNDING


def only_rounding(
    a: TensorInfo, b: TensorInfo, cosine: float | None, pairs: Iterable[tuple[int, Array, Array]]
) -> bool:
    """Whether nothing but rounding lies between two matrices of one shape, given the mean cosine of their rows and
    (first row, rows of a, the same rows of b), float32, which are read only where the cosine is high.

    Where a type is quantised, every row must keep within what the two types lose of its norm; else every element within
    what the types, or a copy that once was bfloat16 or float16, lose of it.
    """
    if cosine is None or cosine < TIE_ROUNDED_COSINE.value:
        return False
    rule = rounding(a, b)
    relative, absolute = max(rule.relative, TIE_ROUNDING.value), max(rule.absolute, SMALLEST["F16"])
    for _, x, y in pairs:
        with np.errstate(over="ignore", invalid="ignore"):
            gap, larger = np.abs(x - y), np.maximum(np.abs(x), np.abs(y))
            if rule.norm is None:
                near = gap <= relative * larger + absolute
            else:
                near = np.linalg.norm(gap, axis=1) <= rule.norm * np.linalg.norm(larger, axis=1)
        if not near.all():
            return False
    return True
