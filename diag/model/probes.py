"""Figures of activations, made where the activations are: nothing here waits for the device before `Probes.trace`."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from diag.results.trace import Trace, TraceRow

# Columns: how many finite values, their mean, the sum of their squared deviations, minimum, maximum; zeros; the others.
FIGURES = 7
SAFE = 1e15  # squares of values up to here, and sums of them, are far from float32's end


def members(lengths: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """bool [buckets, seq]: which positions are in which bucket, for buckets of these lengths, one behind the other."""
    bucket = torch.repeat_interleave(torch.arange(len(lengths)), torch.as_tensor(lengths))
    return (bucket == torch.arange(len(lengths))[:, None]).to(device)


def statistics(x: Tensor, buckets: Tensor) -> Tensor:
    """float64 [buckets, FIGURES] of x [batch, seq, width], any float type; buckets: bool [buckets, seq], on its device.

    A value that is not finite is counted in the last column and left out of all others, so that one of them does not
    hide the rest; the minimum of nothing is inf, the maximum −inf, and the mean 0. Each token is reduced in float32,
    its squares after its own mean is taken off, and tokens are added in float64: no overflow, no cancellation. One
    kernel when compiled; on the CPU half a dozen reads of x where all is finite.
    """
    used, lowest, highest, mean, squares, zeros = _plain(x) or _guarded(x)  # each [batch, seq]

    def summed(values: Tensor) -> Tensor:  # [batch, seq] -> [buckets]
        return torch.where(buckets, values.double().sum(0), 0.0).sum(-1)

    n = used.double()
    values = summed(n)
    means = summed(n * mean) / values.clamp(min=1)
    from_mean = mean - torch.where(buckets, means.unsqueeze(-1), 0.0).sum(0)  # [batch, seq]
    deviations = summed(squares + n * from_mean.square())
    least = torch.where(buckets, lowest.double().amin(0), math.inf).amin(-1)
    most = torch.where(buckets, highest.double().amax(0), -math.inf).amax(-1)
    return torch.stack([values, means, deviations, least, most, summed(zeros), summed(x.shape[-1] - used)], dim=-1)


def _plain(x: Tensor) -> tuple[Tensor, ...] | None:
    """What `_guarded` gives, in fewer reads, where looking at the values first costs no wait for a device and they are
    finite and of ordinary size; None elsewhere."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    wide = x if x.dtype == torch.float64 else x.float()
    lowest, highest = wide.amin(-1), wide.amax(-1)  # each far faster than aminmax, as what follows is than var_mean
    if not (lowest.min() > -SAFE and highest.max() < SAFE):
        return None
    mean = wide.mean(-1)
    squares = torch.linalg.vector_norm(wide - mean.unsqueeze(-1), dim=-1).double().square()
    zeros = wide.eq(0).to(wide.dtype).sum(-1)
    return torch.full_like(zeros, wide.shape[-1]), lowest, highest, mean.double(), squares, zeros


def _guarded(x: Tensor) -> tuple[Tensor, ...]:
    """Of each token of x: finite values, minimum, maximum, mean and squared deviations in float64, zeros. A token
    is divided by its own largest magnitude first."""
    wide = x if x.dtype == torch.float64 else x.float()
    finite, zero = wide.isfinite(), wide.new_zeros(())
    lowest = torch.where(finite, wide, math.inf).amin(-1)
    highest = torch.where(finite, wide, -math.inf).amax(-1)
    used, largest = finite.sum(-1), torch.maximum(highest, -lowest)
    scale = torch.where(largest > 0, largest, 1.0)
    scaled = torch.where(finite, wide, zero) / scale.unsqueeze(-1)
    mean = scaled.sum(-1) / used.clamp(min=1)
    squares = torch.where(finite, scaled - mean.unsqueeze(-1), zero).square().sum(-1)
    up = scale.double()
    return used, lowest, highest, mean.double() * up, squares.double() * up.square(), (wide == 0).sum(-1)


def merged(a: Tensor, b: Tensor) -> Tensor:
    """The figures [..., FIGURES] of both together, in any order. Source: Chan, Golub and LeVeque, 1979."""
    n = a[..., 0] + b[..., 0]
    share = b[..., 0] / n.clamp(min=1)
    gap = b[..., 1] - a[..., 1]
    return torch.stack(
        [
            n,
            a[..., 1] + gap * share,
            a[..., 2] + b[..., 2] + gap.square() * a[..., 0] * share,
            torch.minimum(a[..., 3], b[..., 3]),
            torch.maximum(a[..., 4], b[..., 4]),
            a[..., 5] + b[..., 5],
            a[..., 6] + b[..., 6],
        ],
        dim=-1,
    )


class Probes:
    """Figures of many points over many batches, kept on the device: buckets × FIGURES float64 a point.

    lengths: int64 [buckets], how many positions each bucket covers.
    """

    def __init__(self, lengths: np.ndarray, device: torch.device | str = "cpu") -> None:
        self.lengths = np.asarray(lengths)
        self.members = members(self.lengths, device)
        self._seen: dict[tuple[str, int | None], Tensor] = {}

    def add(self, point: str, layer: int | None, x: Tensor) -> None:
        """Take one batch [batch, seq, width] of a point."""
        self.put(point, layer, statistics(x, self.members))

    def put(self, point: str, layer: int | None, figures: Tensor) -> None:
        """Take figures [buckets, FIGURES] of one batch that `statistics` made, in a compiled block perhaps."""
        before = self._seen.get((point, layer))
        self._seen[point, layer] = figures if before is None else merged(before, figures)

    def trace(self, source: str) -> Trace:
        """All rows, points in the order in which they were first seen. One copy to the host."""
        if not self._seen:
            return Trace(source, ())
        host = torch.stack(list(self._seen.values())).cpu().tolist()
        stops = np.cumsum(self.lengths).tolist()
        spans = list(zip([0, *stops], stops, strict=False))
        rows = [
            _row(point, layer, first, stop, figures)
            for (point, layer), buckets in zip(self._seen, host, strict=True)
            for (first, stop), figures in zip(spans, buckets, strict=True)
        ]
        return Trace(source, tuple(rows))


def _row(point: str, layer: int | None, first: int, stop: int, figures: list[float]) -> TraceRow:
    finite, mean, deviations, lowest, highest, zeros, others = figures
    known = finite > 0
    return TraceRow(
        point=point,
        layer=layer,
        first=first,
        stop=stop,
        values=int(finite + others),
        mean=mean if known else math.nan,
        deviation=math.sqrt(deviations / finite) if known else math.nan,
        l2=math.sqrt(deviations + finite * mean * mean) if known else math.nan,
        lowest=lowest if known else math.nan,
        highest=highest if known else math.nan,
        zeros=zeros / (finite + others) if finite + others else math.nan,
        nonfinite=int(others),
    )
