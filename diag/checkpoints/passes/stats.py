"""Statistics of every tensor, as numbers that fit on a line of a table. The pass over the file is scan.py."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.passes.scan import TensorScan, scan_checkpoint
from diag.checkpoints.passes.sums import variation
from diag.checkpoints.reader import Checkpoint, TensorInfo
from diag.progress import Progress, silent


@dataclass(frozen=True)
class TensorStats:
    """One tensor. Everything is over its finite elements; null where there is none. Units are the tensor's own.

    `zeros` is the share of elements that are exactly 0; `nonfinite` counts NaN and ±inf; `std` divides by n.
    `row_norm_cv`: standard deviation over mean of the row norms, for a matrix of two or more rows.
    `histogram`: counts of a sample of its values in 32 bins over ±4 times `rms`, the outer bins open.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    zeros: float | None
    nonfinite: int
    rms: float | None
    row_norm_cv: float | None = None
    histogram: tuple[int, ...] = ()

    def always(self, value: float) -> bool:
        """Whether every element is exactly `value`."""
        return self.nonfinite == 0 and self.min == self.max == value


def tensor_stats(checkpoint: Checkpoint, progress: Progress = silent) -> tuple[TensorStats, ...]:
    """Every tensor in name order. Cost: one pass over the file, 0.25 s for 0.5 B parameters on two cores, and nothing
    a second time on the same open checkpoint. Errors: InputError when the file became shorter meanwhile."""
    scans = scan_checkpoint(checkpoint, progress)
    return tuple(_stats(info, scans.get(info.name)) for info in checkpoint.tensors.values())


def _stats(info: TensorInfo, scan: TensorScan | None) -> TensorStats:
    if scan is None or scan.range is None:
        nonfinite = scan.nonfinite if scan else 0
        return TensorStats(info.name, info.dtype, info.shape, None, None, None, None, None, nonfinite, None)
    mean, mean_square = scan.total / scan.count, scan.squares / scan.count
    return TensorStats(
        name=info.name,
        dtype=info.dtype,
        shape=info.shape,
        mean=mean,
        std=math.sqrt(max(0.0, mean_square - mean * mean)),
        min=scan.range[0],
        max=scan.range[1],
        zeros=scan.zeros / scan.count,
        nonfinite=scan.nonfinite,
        rms=math.sqrt(mean_square),
        row_norm_cv=variation(np.sqrt(scan.row_squares)) if len(info.shape) == 2 and info.shape[0] > 1 else None,
        histogram=tuple(int(n) for n in scan.histogram),
    )
