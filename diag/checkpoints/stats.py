"""Statistics of every tensor, streamed: nothing larger than one piece is held, whatever the checkpoint's size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.reader import Checkpoint, TensorInfo

Progress = Callable[[float, str], None]  # share done (0 to 1), what is being read


@dataclass(frozen=True)
class TensorStats:
    """One tensor. Everything is over its finite elements; null where there is none. Units are the tensor's own.

    `zeros` is the share of elements that are exactly 0; `nonfinite` counts NaN and ±inf; `std` divides by n.
    `row_norm_cv`: standard deviation over mean of the row norms, for a matrix of two or more rows.
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

    def always(self, value: float) -> bool:
        """Whether every element is exactly `value`."""
        return self.nonfinite == 0 and self.min == self.max == value


def tensor_stats(checkpoint: Checkpoint, progress: Progress | None = None) -> tuple[TensorStats, ...]:
    """Statistics of every tensor, in name order.

    Cost: reads every byte once, about 3 ns an element on one core (1.5 s for 0.5 B parameters), 20 MB of memory.
    Sums are float64. A type that is not read as numbers (8-bit floats) gives nulls.
    """
    total = sum(info.nbytes for info in checkpoint.tensors.values()) or 1
    done, result = 0, []
    for info in checkpoint.tensors.values():
        if progress:
            progress(done / total, f"reading {info.name}")
        result.append(_one(checkpoint, info))
        done += info.nbytes
    if progress:
        progress(1.0, "read every tensor")
    return tuple(result)


def _one(checkpoint: Checkpoint, info: TensorInfo) -> TensorStats:
    nothing = TensorStats(info.name, info.dtype, info.shape, None, None, None, None, None, 0, None)
    if not info.elements or DTYPES[info.dtype].decode is None:
        return nothing
    count = zeros = nonfinite = 0
    total = squares = 0.0
    low, high = math.inf, -math.inf
    rows: list[Array] = []
    for _, piece in checkpoint.row_chunks(info.name):
        wide = piece.astype(np.float64)
        smallest, largest = float(wide.min()), float(wide.max())
        if not (math.isfinite(smallest) and math.isfinite(largest)):  # NaN and inf survive min and max
            good = np.isfinite(wide)
            nonfinite += int(wide.size - good.sum())
            if not good.any():
                continue
            smallest, largest = float(wide[good].min()), float(wide[good].max())
            zeros += int((wide == 0).sum())
            count += int(good.sum())
            wide = np.where(good, wide, 0.0)
        else:
            zeros += int(wide.size - np.count_nonzero(wide))
            count += wide.size
        total += float(wide.sum())
        per_row = np.einsum("rc,rc->r", wide, wide)
        squares += float(per_row.sum())
        rows.append(per_row)
        low, high = min(low, smallest), max(high, largest)
    if not count:
        return TensorStats(info.name, info.dtype, info.shape, None, None, None, None, None, nonfinite, None)
    mean = total / count
    return TensorStats(
        name=info.name,
        dtype=info.dtype,
        shape=info.shape,
        mean=mean,
        std=math.sqrt(max(0.0, squares / count - mean * mean)),
        min=low,
        max=high,
        zeros=zeros / count,
        nonfinite=nonfinite,
        rms=math.sqrt(squares / count),
        row_norm_cv=variation(np.sqrt(np.concatenate(rows))) if len(info.shape) == 2 and info.shape[0] > 1 else None,
    )


def variation(norms: Array) -> float | None:
    """Coefficient of variation (standard deviation / mean) of row norms [rows]; null when they are all zero."""
    mean = float(norms.mean()) if norms.size else 0.0
    return float(norms.std()) / mean if mean > 0 else None
