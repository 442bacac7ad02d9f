"""Which id follows which: the pairs of some ids looked up among the pairs of others.

A stretch of ids is uint32 [n]; a value of `size` or more is a break, and the pairs on both sides of it do not exist.
A table of all pairs would have size² entries (86 GiB for 151 936), so pairs are sorted by their first id, by counting,
and one row of the table exists at a time. Where numba is missing, NumPy gives the same numbers, ten times slower.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from diag import jit

_CHUNK = 1 << 20  # pairs per step of a sum or a sort: a few arrays of 8 MiB

UInt32 = npt.NDArray[np.uint32]
Int32 = npt.NDArray[np.int32]
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
            count, place, _ = compile_loops()
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


@dataclass(frozen=True, eq=False)
class Table:
    """What the pairs asked about are among the pairs learnt, and what smoothing needs of those.

    seen: int32 [pairs asked]: how often each is there. after: int32 [size, 3]: different ids that follow v once, twice,
    and more often. before: int32 [size]: different ids that w follows. times: int64 [4]: different pairs seen once,
    twice, three and four times.
    """

    seen: Int32
    after: Int32
    before: Int32
    times: Int64


def look_up(learnt: Pairs, asked: Pairs) -> Table:
    """Each pair of `asked` among those of `learnt`. Costs about 20 ns a pair learnt, and one row of the table."""
    size = learnt.size
    seen = np.zeros(len(asked.followers), dtype=np.int32)
    after, before = np.zeros((size, 3), dtype=np.int32), np.zeros(size, dtype=np.int32)
    times = np.zeros(4, dtype=np.int64)
    if jit.available():
        row = np.zeros(size, dtype=np.int32)
        both = (learnt.starts, learnt.followers), (asked.starts, asked.followers)
        compile_loops()[2](*both, row, (seen, after, before, times))
        return Table(seen, after, before, times)
    first = 0
    while first < size:  # as many first ids at a time as have about _CHUNK pairs, and at least one
        room = np.searchsorted(learnt.starts, learnt.starts[first] + _CHUNK, side="right") - 1
        last = max(first + 1, min(int(room), size))
        keys, often = np.unique(_keys(learnt, first, last), return_counts=True)
        np.add.at(after[first:last], (keys // size, np.minimum(often, 3) - 1), 1)
        before += np.bincount(keys % size, minlength=size).astype(np.int32)
        times += np.bincount(often, minlength=5)[1:5]
        wanted = _keys(asked, first, last)
        if len(keys):
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            found = np.where(keys[at] == wanted, often[at], 0)
            seen[asked.starts[first] : asked.starts[last]] = found
        first = last
    return Table(seen, after, before, times)


def first_ids(pairs: Pairs, start: int, stop: int) -> Int64:
    """The first ids of pairs number `start` to `stop` - 1, int64 [stop - start]."""
    first = int(np.searchsorted(pairs.starts, start, side="right")) - 1
    last = int(np.searchsorted(pairs.starts, stop, side="left"))
    edges = np.clip(pairs.starts[first : last + 1], start, stop)
    lengths = edges[1:] - edges[:-1]
    return np.repeat(np.arange(first, last, dtype=np.int64), lengths)


def _keys(pairs: Pairs, first: int, last: int) -> Int64:
    """The pairs of the first ids from `first` to `last` - 1 as one number each."""
    lengths = np.diff(pairs.starts[first : last + 1])
    rows = np.repeat(np.arange(last - first, dtype=np.int64), lengths)
    return rows * pairs.size + pairs.followers[pairs.starts[first] : pairs.starts[last]]


def warm() -> None:
    """Compile, or load from the cache, what a bigram needs: about 0.5 s that nobody then waits for."""
    few = Pairs.of(np.zeros(2, dtype=np.uint32), 1)
    look_up(few, few)


@cache
def compile_loops() -> tuple[Callable[..., None], Callable[..., None], Callable[..., None]]:
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
    row: Int32,
    found: tuple[Int32, Int32, Int32, Int64],
) -> None:
    """Row by row of the table of pairs, both given as (starts, followers), into the arrays of a Table; `row` is all
    zero before and after."""
    seen, after, before, times = found
    starts, followers = learnt
    asked_starts, asked_followers = asked
    for v in range(len(before)):
        if starts[v] == starts[v + 1]:
            continue
        for i in range(starts[v], starts[v + 1]):
            row[followers[i]] += 1
        for i in range(asked_starts[v], asked_starts[v + 1]):
            seen[i] = row[asked_followers[i]]
        for i in range(starts[v], starts[v + 1]):
            often = row[followers[i]]
            if often > 0:
                before[followers[i]] += 1
                after[v, min(often, 3) - 1] += 1
                if often <= 4:
                    times[often - 1] += 1
                row[followers[i]] = 0
