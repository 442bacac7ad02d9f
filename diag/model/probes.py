"""Figures of activations, made where the activations are: nothing here waits for the device before `Probes.trace`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from diag.results.trace import Trace, TraceRow

Point = tuple[str, int | None]  # what it is, and the layer
# Columns: how many finite values, their mean, the sum of their squared deviations, minimum, maximum; zeros; the others.
FIGURES = 7
OFFSET = 1e-3  # squared deviations over the square of the mean, below which deviations are taken from the mean first
SAFE = 1e15  # squares of values up to here, and sums of them, are far from float32's end
HELD = 1 << 24  # figures of tokens that are held before their buckets are added up


def members(lengths: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """bool [buckets, seq]: which positions are in which bucket, for buckets of these lengths, one behind the other."""
    bucket = torch.repeat_interleave(torch.arange(len(lengths)), torch.as_tensor(lengths))
    return (bucket == torch.arange(len(lengths))[:, None]).to(device)


def statistics(x: Tensor, buckets: Tensor) -> Tensor:
    """float64 [buckets, FIGURES] of x [batch, seq, width], any float type; buckets: bool [buckets, seq], on its device.

    A value that is not finite is counted in the last column and left out of all others, so that one of them does not
    hide the rest; the minimum of nothing is inf, the maximum −inf, and the mean 0.
    """
    return bucketed(tokenwise(x), x.shape[-1], buckets)


def tokenwise(x: Tensor) -> Tensor:
    """[6, ..., seq] of x [..., seq, width]: of each token the finite values, their mean, the norm of their deviations,
    minimum, maximum, and zeros; in float32, or in float64 for x in it.

    Deviations are squared after the token's own mean is taken off, and within its largest magnitude: no overflow, no
    cancellation. One kernel when compiled; on the CPU five reads of x where all is finite.
    """
    return torch.stack([value.to(_wide(x)) for value in _plain(x) or _guarded(x)])


def bucketed(tokens: Tensor, width: int, buckets: Tensor) -> Tensor:
    """float64 [..., buckets, FIGURES] of `tokenwise` figures [6, ..., batch, seq]; tokens are added in float64."""
    n, mean, length, lowest, highest, zeros = tokens.double()

    def summed(values: Tensor) -> Tensor:  # [..., batch, seq] -> [..., buckets]
        return torch.where(buckets, values.sum(-2).unsqueeze(-2), 0.0).sum(-1)

    values = summed(n)
    means = summed(n * mean) / values.clamp(min=1)
    from_mean = mean - torch.where(buckets, means.unsqueeze(-1), 0.0).sum(-2).unsqueeze(-2)
    deviations = summed(length.square() + n * from_mean.square())
    least = torch.where(buckets, lowest.amin(-2).unsqueeze(-2), math.inf).amin(-1)
    most = torch.where(buckets, highest.amax(-2).unsqueeze(-2), -math.inf).amax(-1)
    return torch.stack([values, means, deviations, least, most, summed(zeros), summed(width - n)], dim=-1)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _plain(x: Tensor) -> tuple[Tensor, ...] | None:
    """What `_guarded` gives, in fewer reads, where looking at the values first costs no wait for a device and they are
    finite and of ordinary size; None elsewhere."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return None
    wide = x.to(_wide(x))
    lowest, highest = wide.amin(-1), wide.amax(-1)  # each far faster than aminmax, as what follows is than var_mean
    if not (lowest.min() > -SAFE and highest.max() < SAFE):
        return None
    mean, width = wide.mean(-1).double(), wide.shape[-1]
    squares = torch.linalg.vector_norm(wide, dim=-1).double().square() - width * mean.square()
    if not (squares > OFFSET * width * mean.square()).all():  # the mean is most of it, and little is left of float32
        length = torch.linalg.vector_norm(wide - mean.unsqueeze(-1).to(wide.dtype), dim=-1)
    else:
        length = squares.sqrt()
    nearest = wide.abs().amin(-1)  # counting zeros takes longer than all of the rest
    zeros = wide.eq(0).sum(-1) if bool((nearest == 0).any()) else torch.zeros_like(nearest)
    return torch.full_like(nearest, width), mean, length, lowest, highest, zeros


def _guarded(x: Tensor) -> tuple[Tensor, ...]:
    """A token is divided by its own largest magnitude first."""
    wide = x.to(_wide(x))
    finite, zero = wide.isfinite(), wide.new_zeros(())
    lowest = torch.where(finite, wide, math.inf).amin(-1)
    highest = torch.where(finite, wide, -math.inf).amax(-1)
    used, largest = finite.sum(-1), torch.maximum(highest, -lowest)
    scale = torch.where(largest > 0, largest, 1.0)
    scaled = torch.where(finite, wide, zero) / scale.unsqueeze(-1)
    mean = scaled.sum(-1) / used.clamp(min=1)
    length = torch.where(finite, scaled - mean.unsqueeze(-1), zero).square().sum(-1).sqrt()
    return used, mean * scale, length * scale, lowest, highest, (wide == 0).sum(-1)


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
    """Figures of many points over many batches, kept on the device: buckets × FIGURES float64 a point, and up to HELD
    figures of tokens, whose buckets are added up together.

    lengths: int64 [buckets], how many positions each bucket covers.
    """

    def __init__(self, lengths: np.ndarray, device: torch.device | str = "cpu") -> None:
        self.lengths = np.asarray(lengths)
        self.members = members(self.lengths, device)
        self._seen: dict[Point, Tensor] = {}
        self._waiting: list[tuple[tuple[Point, ...], Tensor, int]] = []

    def add(self, point: str, layer: int | None, x: Tensor) -> None:
        """Take one batch [batch, seq, width] of a point."""
        self.put([(point, layer)], tokenwise(x).unsqueeze(1), x.shape[-1])

    def put(self, points: Sequence[Point], tokens: Tensor, width: int) -> None:
        """Take `tokenwise` figures [6, points, batch, seq] of one batch, made in a compiled block perhaps."""
        self._waiting.append((tuple(points), tokens, width))
        if sum(each.numel() for _, each, _ in self._waiting) > HELD:
            self._add_up()

    def figures(self) -> tuple[list[Point], np.ndarray]:
        """The points in the order in which they were first seen, and their figures, float64 [points, buckets, FIGURES].
        One copy to the host."""
        self._add_up()
        if not self._seen:
            return [], np.zeros((0, len(self.lengths), FIGURES))
        return list(self._seen), torch.stack(list(self._seen.values())).cpu().numpy()

    def trace(self, source: str) -> Trace:
        """All rows, points in the order in which they were first seen."""
        return self.rows(source, *self.figures())

    def rows(self, source: str, points: Sequence[Point], figures: np.ndarray) -> Trace:
        """The rows of these figures."""
        finite, mean, deviations, lowest, highest, zeros, others = np.moveaxis(figures, -1, 0)
        values = finite + others
        with np.errstate(all="ignore"):
            columns = [
                *(np.where(finite > 0, mean, math.nan), np.sqrt(deviations / finite)),
                np.sqrt(deviations + finite * mean**2) + np.where(finite > 0, 0.0, math.nan),
                *(np.where(finite > 0, lowest, math.nan), np.where(finite > 0, highest, math.nan), zeros / values),
            ]
        numbers = np.stack(columns, axis=-1).tolist()
        counts = np.stack([values, others], axis=-1).astype(np.int64).tolist()
        stops = np.cumsum(self.lengths).tolist()
        spans = list(zip([0, *stops], stops, strict=False))
        return Trace(
            source,
            tuple(
                TraceRow(point, layer, first, stop, n, a, b, c, d, e, f, odd)  # fields in their order
                for (point, layer), some, many in zip(points, numbers, counts, strict=True)
                for (first, stop), (a, b, c, d, e, f), (n, odd) in zip(spans, some, many, strict=True)
            ),
        )

    def _add_up(self) -> None:
        alike: dict[tuple[tuple[int, ...], int], list[tuple[tuple[Point, ...], Tensor]]] = {}
        for points, tokens, width in self._waiting:
            alike.setdefault((tuple(tokens.shape[2:]), width), []).append((points, tokens))
        self._waiting.clear()
        for (_, width), batches in alike.items():
            together = bucketed(torch.cat([tokens for _, tokens in batches], dim=1), width, self.members)
            for point, each in zip((p for points, _ in batches for p in points), together, strict=True):
                before = self._seen.get(point)
                self._seen[point] = each if before is None else merged(before, each)


def rms(figures: np.ndarray) -> np.ndarray:
    """float64 [points]: the root mean square of the finite values of figures [points, buckets, FIGURES], all positions
    together; NaN where there are none."""
    finite, mean, deviations = np.moveaxis(figures[..., :3], -1, 0)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = np.sqrt((deviations + finite * mean**2).sum(-1) / finite.sum(-1))
    return found
