"""Does a matrix look as it was initialised? A signature from the norms of its rows and columns.

The rows of a fresh Gaussian matrix [n, d] have norms with a coefficient of variation near 1/√(2d), its columns one near
1/√(2n), whatever its scale; uniform ones 0.632 times that (kurtosis 1.8 instead of 3). Training spreads both. For which
roles that holds was measured: docs/signatures.md.
"""

from __future__ import annotations

import math

import numpy as np

from diag.checkpoints.passes.scan import TensorScan
from diag.checkpoints.passes.sums import fresh_variation, variation
from diag.results.thresholds_checkpoints import FRESH_NORMS, FRESH_SCATTERS, FRESH_TOLERANCE

# How the values were drawn → the variation of norms, in units of a Gaussian's.
DISTRIBUTIONS = {"Gaussian": 1.0, "uniform": math.sqrt(0.4)}


def fresh_distribution(scan: TensorScan) -> str | None:
    """The row of DISTRIBUTIONS that the matrix is like in its rows and in its columns; None for neither. Free after the
    scan."""
    rows, columns = scan.row_squares, scan.column_squares
    if columns is None:
        return None
    by_row, by_column = variation(np.sqrt(rows)), variation(np.sqrt(columns))
    for name, factor in DISTRIBUTIONS.items():
        if _near(by_row, factor * fresh_variation(len(columns)), len(rows)) and _near(
            by_column, factor * fresh_variation(len(rows)), len(columns)
        ):
            return name
    return None


def as_even_as_fresh(scan: TensorScan, among: int = 1) -> bool:
    """Whether norms of rows and of columns vary no more than those of a fresh Gaussian matrix: so does every matrix of
    independent values that are not heavy-tailed. Of `among` matrices all must, so that the most uneven one may scatter
    as the largest of so many does. Free after the scan."""
    rows, columns = scan.row_squares, scan.column_squares
    if columns is None:
        return False
    return all(
        (found := variation(np.sqrt(norms))) is not None
        and found <= fresh_variation(len(others)) * (1 + _allowed(len(norms), among))
        for norms, others in ((rows, columns), (columns, rows))
    )


def _near(found: float | None, expected: float, norms: int) -> bool:
    """Whether a variation estimated from so many norms is the expected one."""
    return found is not None and norms >= FRESH_NORMS.value and abs(found / expected - 1) < _allowed(norms)


def _allowed(norms: int, among: int = 1) -> float:
    """How far, relatively, a variation estimated from so many norms may lie from the expected one, the largest of
    `among` estimates: the largest of n Gaussian deviations grows as √(2 ln n)."""
    scatters = math.sqrt(FRESH_SCATTERS.value**2 + 2 * math.log(among))
    return max(FRESH_TOLERANCE.value, scatters / math.sqrt(2 * norms))
