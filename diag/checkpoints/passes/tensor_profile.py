"""One tensor looked at closely: how its values, rows and columns are spread. Summaries of kilobytes, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import Checkpoint, TensorInfo
from diag.errors import InputError

VALUE_BINS = 120  # at most; a vector of 256 gets 32
MAX_POINTS = 400  # of a profile, however many rows there are
PERCENTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
SPARK_BINS, SPARK_SPAN = 32, 4.0  # bins over ± so many root mean squares, the outer ones open
SPARK_SAMPLE = 1 << 14


@dataclass(frozen=True)
class Profile:
    """Numbers along one axis, in at most MAX_POINTS stretches of equal length. start: the first index of a stretch;
    low, mean, high: over its finite numbers, NaN where it has none. percentiles: PERCENTILES of all finite numbers."""

    what: str
    count: int
    start: Array
    low: Array
    mean: Array
    high: Array
    percentiles: tuple[float, ...]


@dataclass(frozen=True)
class TensorProfile:
    """One tensor. edges [bins + 1], counts [bins]: its finite values in at most VALUE_BINS equal bins, from the least
    to the largest. rows, columns: their norms (√ of the sum of squares of finite elements); of a vector, `rows` are its
    values and `columns` is None. percentiles: of the values, read off the bins. Units are the tensor's own."""

    info: TensorInfo
    file: str
    elements: int
    nonfinite: int
    zeros: int
    mean: float
    std: float
    rms: float
    edges: Array
    counts: Array
    percentiles: tuple[float, ...]
    rows: Profile
    columns: Profile | None

    @property
    def low(self) -> float:
        """The least finite value."""
        return float(self.edges[0])

    @property
    def high(self) -> float:
        """The largest finite value."""
        return float(self.edges[-1])


def tensor_profile(checkpoint: Checkpoint, name: str) -> TensorProfile:
    """Look at one tensor.

    Cost: reads it twice, about 8 ns an element; memory is one piece of it (the whole tensor where a transform leaves
    no choice) and 8 bytes a row and a column. InputError when there is none, or it holds no numbers.
    """
    info = checkpoint.info(name)
    if not readable(info):
        why = "holds no data" if not info.elements else f"is stored as {info.dtype}, which is not read as numbers"
        raise InputError(f"The tensor '{name}' {why}.", where=checkpoint.path.name, fix="Pick another tensor.")
    first = _first_pass(checkpoint, info)
    if not first.good:
        raise InputError(
            f"The tensor '{name}' holds no finite value.", where=checkpoint.path.name, fix="Write the checkpoint again."
        )
    low, high = first.low, first.high
    width = high - low
    if not width > 0 or not math.isfinite(width):
        low, high = (low - 0.5, high + 0.5) if not width > 0 else (low / 2, high / 2)
    bins = max(8, min(VALUE_BINS, 2 * math.isqrt(first.good)))
    counts = np.zeros(bins, np.int64)
    for _, piece in checkpoint.row_chunks(name):
        values = piece[np.isfinite(piece)].astype(np.float64)
        counts += np.histogram(np.clip(values, low, high), bins, (low, high))[0]
    edges = np.linspace(low, high, bins + 1)
    vector = len(info.shape) < 2
    return TensorProfile(
        info=info,
        file=checkpoint.files[info.file].name,
        elements=info.elements,
        nonfinite=info.elements - first.good,
        zeros=first.zeros,
        mean=first.total / first.good,
        std=math.sqrt(max(0.0, first.squares / first.good - (first.total / first.good) ** 2)),
        rms=math.sqrt(first.squares / first.good),
        edges=edges,
        counts=counts,
        percentiles=_from_bins(edges, counts),
        rows=_profile("value" if vector else "norm of the row", first.rows),
        columns=None if vector else _profile("norm of the column", np.sqrt(first.columns)),
    )


def sparkline(checkpoint: Checkpoint, name: str, rms: float | None) -> tuple[int, ...]:
    """Counts in SPARK_BINS bins of a sample of the values, for a picture in a table; empty for a tensor without.

    Cost: about SPARK_SAMPLE elements read in stretches; a tensor of blocks, or with a transform, is decoded whole.
    """
    info = checkpoint.info(name)
    if not readable(info) or not rms or not math.isfinite(rms):
        return ()
    if not info.streams:
        values = checkpoint.float32(name).ravel()[:: max(1, info.elements // SPARK_SAMPLE)]
    elif info.elements <= SPARK_SAMPLE:
        values = checkpoint.flat(name, 0, info.elements)
    else:
        stretch = SPARK_SAMPLE // 16
        starts = np.linspace(0, info.elements - stretch, 16).astype(np.int64)
        values = np.concatenate([checkpoint.flat(name, int(at), int(at) + stretch) for at in starts])
    edge = SPARK_SPAN * rms
    values = values[np.isfinite(values)].clip(-edge, edge)
    return tuple(int(n) for n in np.histogram(values, SPARK_BINS, (-edge, edge))[0])


def some_rows(checkpoint: Checkpoint, name: str, wanted: Array) -> Array:
    """float32 [wanted, columns]: these rows, ascending. Cost: only them where the tensor streams, else the tensor."""
    info = checkpoint.info(name)
    width = info.shape[-1] if info.shape else 1
    if info.streams:
        return np.stack([checkpoint.flat(name, int(r) * width, (int(r) + 1) * width) for r in wanted])
    found = []
    for first, piece in checkpoint.row_chunks(name):
        inside = wanted[(wanted >= first) & (wanted < first + len(piece))] - first
        found.append(piece[inside])
    return np.concatenate(found)


@dataclass
class _Moments:
    """What one reading adds up."""

    rows: Array
    columns: Array
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    good: int = 0
    zeros: int = 0


def _first_pass(checkpoint: Checkpoint, info: TensorInfo) -> _Moments:
    width = info.shape[-1] if info.shape else 1
    vector = len(info.shape) < 2
    count = info.elements if vector else info.elements // width
    sums = _Moments(np.empty(count, np.float64), np.zeros(width, np.float64))
    for first, piece in checkpoint.row_chunks(info.name):
        with np.errstate(invalid="ignore"):
            wide = piece.astype(np.float64)
        good = np.isfinite(wide)
        finite = wide if good.all() else np.where(good, wide, 0.0)
        squares = np.square(finite)
        by_row = squares.sum(axis=1)
        if vector:
            sums.rows[:] = wide.ravel()
        else:
            sums.rows[first : first + len(piece)] = np.sqrt(by_row)
            sums.columns += squares.sum(axis=0)
        sums.total += float(finite.sum())
        sums.squares += float(by_row.sum())
        sums.good += int(good.sum())
        sums.zeros += int((wide == 0).sum())
        if good.any():
            sums.low = min(sums.low, float(wide[good].min()))
            sums.high = max(sums.high, float(wide[good].max()))
    return sums


def _profile(what: str, numbers: Array) -> Profile:
    start = np.unique(np.linspace(0, len(numbers), min(len(numbers), MAX_POINTS), endpoint=False).astype(np.int64))
    good = np.isfinite(numbers)
    known = np.add.reduceat(good.astype(np.int64), start)
    some = np.where(known > 0, known, 1)
    mean = np.add.reduceat(np.where(good, numbers, 0.0), start) / some
    low = np.minimum.reduceat(np.where(good, numbers, math.inf), start)
    high = np.maximum.reduceat(np.where(good, numbers, -math.inf), start)
    blank = known == 0
    low, mean, high = (np.where(blank, math.nan, line) for line in (low, mean, high))
    finite = numbers[good]
    percentiles = tuple(float(p) for p in np.percentile(finite, PERCENTILES)) if finite.size else ()
    return Profile(what, len(numbers), start, low, mean, high, percentiles)


def _from_bins(edges: Array, counts: Array) -> tuple[float, ...]:
    """PERCENTILES read off a histogram: the middle of the bin where the share is reached; the ends are exact."""
    reached = np.cumsum(counts) / max(1, int(counts.sum()))
    middles = (edges[:-1] + edges[1:]) / 2
    inner: list[Any] = [middles[min(int(np.searchsorted(reached, p / 100)), len(middles) - 1)] for p in PERCENTILES]
    return (float(edges[0]), *(float(p) for p in inner[1:-1]), float(edges[-1]))
