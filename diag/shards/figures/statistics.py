"""Figures of a table of counts. Pure functions of how often each id occurs; entropies in nats."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diag.shards.counting.counts import Int64

Float64 = npt.NDArray[np.float64]

CURVE_POINTS = 60
LONGEST_DEAD_RANGES = 10
# The slope is fitted where ranks are steady: below rank 10 single words decide, below 5 occurrences chance does.
_ZIPF_FIRST_RANK, _ZIPF_LEAST_COUNT, _ZIPF_BINS, _ZIPF_LEAST_BINS = 10, 5, 30, 5


@dataclass(frozen=True)
class Entropy:
    """Entropy per token of n tokens, in nats.

    plug_in: of the frequencies as they are; biased low, and never above ln n. corrected: plus (distinct − 1) / 2n
    (Miller 1955); still low when much is unseen. unseen_mass: share of the next tokens whose id has not been met yet,
    (ids met once) / n (Good 1953). choices: exp(plug_in), the number of equally likely ids with this entropy.
    """

    plug_in: float
    corrected: float
    unseen_mass: float
    choices: float


def entropy(frequencies: Int64) -> Entropy:
    """Of the counts of the ids that occur, int64 [distinct], each at least 1."""
    n = int(frequencies.sum())
    if not n:
        return Entropy(0.0, 0.0, 1.0, 1.0)
    p = frequencies / n
    nats = max(0.0, float(-(p * np.log(p)).sum()))
    once = int((frequencies == 1).sum())
    return Entropy(nats, nats + (len(frequencies) - 1) / (2 * n), once / n, math.exp(nats))


def zipf_slope(frequencies: Int64) -> float | None:
    """Slope of log count over log rank: about −1 for text (Zipf 1949), 0 for uniform ids. frequencies: falling.

    Least squares over bins of equal width in log rank, from rank 10 to the last id met 5 times; None if fewer than
    five bins hold an id.
    """
    last = int(np.searchsorted(-frequencies, -_ZIPF_LEAST_COUNT, side="right"))
    if last <= _ZIPF_FIRST_RANK:
        return None
    rank, count = binned(frequencies[:last], _ZIPF_BINS, first=_ZIPF_FIRST_RANK)
    if len(rank) < _ZIPF_LEAST_BINS:
        return None
    x, y = np.log(rank), np.log(count)
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


def binned(frequencies: Int64, bins: int = CURVE_POINTS, *, first: int = 1) -> tuple[Float64, Float64]:
    """(rank, count), each float64 [at most bins], for a log-log plot: the mean count of ranks that lie together.

    frequencies: falling, at least `first` of them. Ranks start at `first`; a bin is drawn at the geometric middle of
    its ranks.
    """
    edges = np.unique(np.geomspace(first, len(frequencies) + 1, bins + 1).round().astype(np.int64))
    sums = np.add.reduceat(frequencies[: edges[-1] - 1], edges[:-1] - 1)
    return np.sqrt(edges[:-1] * (edges[1:] - 1.0)), sums / np.diff(edges)


def coverage(frequencies: Int64, points: int = CURVE_POINTS) -> tuple[Int64, Float64]:
    """(k, share): the k most frequent ids make up this share of the tokens; each [at most points]. Falling input."""
    k = np.unique(np.geomspace(1, len(frequencies), points).round().astype(np.int64))
    return k, np.cumsum(frequencies)[k - 1] / frequencies.sum()


@dataclass(frozen=True)
class DeadRange:
    """Consecutive ids of the vocabulary that never occur: start to stop − 1."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Ids in it."""
        return self.stop - self.start


@dataclass(frozen=True)
class Dead:
    """Ids of the vocabulary that never occur: how many, and the longest ranges of them, longest first."""

    ids: int
    ranges: tuple[DeadRange, ...]


def dead(counts: Int64) -> Dead:
    """Of counts int64 [vocabulary]."""
    zero = np.concatenate([[False], counts == 0, [False]])
    edges = np.flatnonzero(zero[1:] != zero[:-1])
    starts, stops = edges[::2], edges[1::2]
    longest = np.argsort(starts - stops, kind="stable")[:LONGEST_DEAD_RANGES]
    return Dead(int(zero.sum()), tuple(DeadRange(int(starts[i]), int(stops[i])) for i in longest))
