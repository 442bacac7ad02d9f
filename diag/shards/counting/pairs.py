"""Which id follows which: pairs of some ids looked up among pairs of others, and what that predicts.

A stretch of ids is uint32 [n]; a value of `size` or more is a break, and the pairs on both sides of it do not exist.
A table of all pairs would have size² entries (86 GiB for 151 936), so pairs are sorted by their first id, by counting,
and one row of the table exists at a time. Where numba is missing, NumPy gives the same numbers, ten times slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from diag import jit
from diag.shards.counting.counts import count_ids

DISCOUNT = 0.75  # taken off the count of every pair seen; a usual value where it is not fitted to the data
_CHUNK = 1 << 20  # pairs per step of a sum or a sort: a few arrays of 8 MiB

UInt32 = npt.NDArray[np.uint32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs by their first id v: the ids that follow v are followers[starts[v]:starts[v + 1]], in reading order.

    starts: int64 [size + 1]. followers: uint32 [pairs].
    """

    starts: Int64
    followers: UInt32

    @classmethod
    def of(cls, ids: UInt32, size: int) -> Pairs:
        """The pairs of a stretch. Costs two passes and 4 bytes a pair; NumPy needs 30 bytes a pair."""
        if jit.available():
            count, place, _ = _loops()
            starts = np.zeros(size + 1, dtype=np.int64)
            count(ids, starts)
            np.cumsum(starts, out=starts)
            followers = np.empty(int(starts[-1]), dtype=np.uint32)
            place(ids, starts[:-1].copy(), followers)
            return cls(starts, followers)
        whole = (ids[:-1] < size) & (ids[1:] < size)
        first = ids[:-1][whole]
        counts = np.bincount(first, minlength=size)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(starts, ids[1:][whole][np.argsort(first, kind="stable")])

    @property
    def size(self) -> int:
        """Ids that a pair can have."""
        return len(self.starts) - 1


@dataclass(frozen=True)
class Scored:
    """nats: mean of −ln p over the pairs scored, NaN without one. learnt, scored: pairs. ids: those learnt from."""

    nats: float
    learnt: int
    scored: int
    ids: int


def cross_entropy(train: UInt32, score: UInt32, size: int) -> Scored:
    """What the id before tells: −ln p(w | v) of the pairs (v, w) of `score`, with p learnt from `train`.

    p(w | v) = max(c(v, w) − D, 0) / c(v) + D · N(v) / c(v) · p(w): absolute discounting, interpolated (Ney, Essen and
    Kneser 1994), with D = DISCOUNT. c: how often; N(v): distinct ids after v. p(w) = (c(w) + ½) / (n + ½ · size), with
    n the ids of `train`; it is all there is for a v that nothing follows. Costs about 30 ns a pair on two threads, and
    4 bytes a pair learnt and 8 a pair scored beside the ids.
    """
    counts = _counts(train, size)
    ids = int(counts.sum())
    unigram = (counts + 0.5) / (ids + 0.5 * size)
    if jit.available():
        _loops()  # once, before two threads want them
        with ThreadPoolExecutor(2) as pool:
            learnt, asked = pool.map(Pairs.of, (train, score), (size, size))
    else:
        learnt, asked = Pairs.of(train, size), Pairs.of(score, size)
    seen, distinct = look_up(learnt, asked)
    total = np.diff(learnt.starts)
    scale = np.divide(1.0, total, where=total > 0, out=np.zeros(size))
    backoff = np.where(total > 0, DISCOUNT * distinct * scale, 1.0)
    sums = []
    for start in range(0, len(seen), _CHUNK):
        stop = min(start + _CHUNK, len(seen))
        v, w = _first_ids(asked, start, stop), asked.followers[start:stop]
        p = np.maximum(seen[start:stop] - DISCOUNT, 0.0) * scale[v] + backoff[v] * unigram[w]
        sums.append(float(np.log(p, out=p).sum()))
    nats = -math.fsum(sums) / len(seen) if len(seen) else math.nan
    return Scored(nats, len(learnt.followers), len(seen), ids)


def look_up(learnt: Pairs, asked: Pairs) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(seen, distinct): how often each pair of `asked` is in `learnt`, int32 [pairs asked]; how many different ids
    follow each id in `learnt`, int32 [size]."""
    seen = np.zeros(len(asked.followers), dtype=np.int32)
    distinct = np.zeros(learnt.size, dtype=np.int32)
    if jit.available():
        row = np.zeros(learnt.size, dtype=np.int32)
        _loops()[2]((learnt.starts, learnt.followers), (asked.starts, asked.followers), row, seen, distinct)
        return seen, distinct
    first = 0
    while first < learnt.size:  # as many first ids at a time as have about _CHUNK pairs, and at least one
        room = np.searchsorted(learnt.starts, learnt.starts[first] + _CHUNK, side="right") - 1
        last = max(first + 1, min(int(room), learnt.size))
        keys, times = np.unique(_keys(learnt, first, last), return_counts=True)
        distinct[first:last] = np.bincount(keys // learnt.size, minlength=last - first)
        wanted = _keys(asked, first, last)
        if len(keys):
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            found = np.where(keys[at] == wanted, times[at], 0)
            seen[asked.starts[first] : asked.starts[last]] = found
        first = last
    return seen, distinct


def _keys(pairs: Pairs, first: int, last: int) -> Int64:
    """The pairs of the first ids from `first` to `last` - 1 as one number each."""
    lengths = np.diff(pairs.starts[first : last + 1])
    rows = np.repeat(np.arange(last - first, dtype=np.int64), lengths)
    return rows * pairs.size + pairs.followers[pairs.starts[first] : pairs.starts[last]]


def _first_ids(pairs: Pairs, start: int, stop: int) -> Int64:
    """The first ids of pairs number `start` to `stop` - 1, int64 [stop - start]."""
    first = int(np.searchsorted(pairs.starts, start, side="right")) - 1
    last = int(np.searchsorted(pairs.starts, stop, side="left"))
    edges = np.clip(pairs.starts[first : last + 1], start, stop)
    lengths = edges[1:] - edges[:-1]
    return np.repeat(np.arange(first, last, dtype=np.int64), lengths)


def _counts(ids: UInt32, size: int) -> Int64:
    """int64 [size]: how often each id occurs, a few MiB at a time."""
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(ids), _CHUNK):
        counts += count_ids(ids[start : start + _CHUNK], size)
    return counts


@cache
def _loops() -> tuple[Callable[..., None], Callable[..., None], Callable[..., None]]:
    return jit.compiled(_count), jit.compiled(_place), jit.compiled(_look_up)


def _count(ids: UInt32, starts: Int64) -> None:
    """How many pairs begin with each id v, added to starts[v + 1]."""
    size = np.uint32(len(starts) - 1)
    for i in range(len(ids) - 1):
        if ids[i] < size and ids[i + 1] < size:
            starts[np.int64(ids[i]) + 1] += 1


def _place(ids: UInt32, free: Int64, followers: UInt32) -> None:
    """Each pair's second id to the next free place of its first id."""
    size = np.uint32(len(free))
    for i in range(len(ids) - 1):
        if ids[i] < size and ids[i + 1] < size:
            followers[free[ids[i]]] = ids[i + 1]
            free[ids[i]] += 1


def _look_up(
    learnt: tuple[Int64, UInt32],
    asked: tuple[Int64, UInt32],
    row: npt.NDArray[np.int32],
    seen: npt.NDArray[np.int32],
    distinct: npt.NDArray[np.int32],
) -> None:
    """Row by row of the table of pairs, both given as (starts, followers); `row` is all zero before and after."""
    starts, followers = learnt
    asked_starts, asked_followers = asked
    for v in range(len(distinct)):
        if starts[v] == starts[v + 1]:
            continue
        kinds = 0
        for i in range(starts[v], starts[v + 1]):
            if row[followers[i]] == 0:
                kinds += 1
            row[followers[i]] += 1
        distinct[v] = kinds
        for i in range(asked_starts[v], asked_starts[v + 1]):
            seen[i] = row[asked_followers[i]]
        for i in range(starts[v], starts[v + 1]):
            row[followers[i]] = 0
