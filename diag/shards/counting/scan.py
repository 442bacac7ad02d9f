"""One look at each id: counts, runs of one id, and where separators stand, for a piece of ids at a time.

Measured (benchmarks/README.md): a compiled loop with a table per thread is the fastest way to count ids that NumPy,
torch, pyarrow, polars and DuckDB were compared with. Where numba is missing, NumPy gives the same numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from diag import jit
from diag.shards.counting.counts import MAX_STRAYS, IdCounts, Int64, merge_strays
from diag.shards.counting.documents import NO_DOCUMENTS
from diag.shards.counting.stretches import Cuts, Runs
from diag.shards.reader import Ids

THREADS = 2
_AHEAD = 8  # pieces handed out before the oldest is done: a thread that waits is slow to wake, above all in a VM
_MOST_COUNTED = (1 << 32) - 1
_SUB_IDS = 1 << 19  # np.bincount is three times faster on chunks whose ids stay in the cache

P = TypeVar("P")
T = TypeVar("T")
UInt32 = npt.NDArray[np.uint32]
# strays, length of the first run, of the last, of the longest, start of the longest
_Edges = tuple[int, int, int, int, int]


class Tables:
    """One thread's running counts of pieces that come in order. A run is reported only if it is longer than every
    run of the pieces before. Counts are uint32, because half the table stays in the cache of a core, and go into wider
    ones before they could overflow."""

    def __init__(self, size: int) -> None:
        self.counts = np.zeros(size, dtype=np.uint32)
        self.room = _MOST_COUNTED
        self.wide: Int64 | None = None
        self.stray_ids = self.stray_counts = np.empty(0, dtype=np.int64)
        self.untracked = self.negative = 0
        self.largest_stray = -1
        self.longest = 0

    def add(self, ids: Ids, separators: tuple[int, ...]) -> tuple[Runs, tuple[Cuts, ...]]:
        """Count a piece of at least one id, and describe its runs and separators."""
        ids = _widened(ids)
        if len(ids) > self.room:
            self._widen()
        self.room -= len(ids)
        before = [self._seen(separator) for separator in separators]
        strays, first, last, longest, start = _kernel()(_unsigned(ids), self.counts, self.longest)
        self.longest = max(self.longest, longest)
        if strays:
            self._add_strays(ids)
        runs = Runs(len(ids), int(ids[0]), first, int(ids[-1]), last, longest, int(ids[start]), start)
        none = Cuts(0, len(ids), 0, NO_DOCUMENTS)
        found = (self._seen(separator) > count for separator, count in zip(separators, before, strict=True))
        cuts = (Cuts.of(ids, s) if any_ else none for s, any_ in zip(separators, found, strict=True))
        return runs, tuple(cuts)

    def _seen(self, separator: int) -> int:
        return int(self.counts[separator]) if 0 <= separator < len(self.counts) else 0

    def _widen(self) -> Int64:
        counted = self.counts.astype(np.int64)
        self.wide = counted if self.wide is None else self.wide + counted
        self.counts[:] = 0
        self.room = _MOST_COUNTED
        return self.wide

    def _add_strays(self, ids: Ids) -> None:
        # A u64 beyond int64 would come out negative: it counts as the largest int64, which is as far out of range.
        stray = ids[(ids < 0) | (ids >= len(self.counts))]
        stray = np.minimum(stray, stray.dtype.type(np.iinfo(np.int64).max)) if stray.dtype == np.uint64 else stray
        stray = stray.astype(np.int64)
        self.negative += int((stray < 0).sum())
        self.largest_stray = max(self.largest_stray, int(stray.max()))
        total = len(stray)
        if len(self.stray_ids) == MAX_STRAYS:  # only ids up to the largest kept one can still come in
            stray = stray[stray <= self.stray_ids[-1]]
        found, counts = np.unique(stray, return_counts=True)
        before = int(self.stray_counts.sum())
        self.stray_ids, self.stray_counts, _ = merge_strays(
            self.stray_ids, self.stray_counts, found, counts.astype(np.int64), MAX_STRAYS
        )
        self.untracked += total - (int(self.stray_counts.sum()) - before)

    def done(self) -> IdCounts:
        """What was counted."""
        counts = self._widen()
        present = (counts != 0)[::-1]
        last = len(present) - 1 - int(present.argmax()) if present.any() else -1
        largest = max(last, self.largest_stray)
        return IdCounts(counts, self.stray_ids, self.stray_counts, self.untracked, self.negative, largest)


def each(pieces: Iterable[P], work: Callable[[P], T], threads: int = THREADS) -> Iterator[T]:
    """work(piece) for each piece, on `threads` threads, in the order of the pieces; few are in memory at a time."""
    pool = ThreadPoolExecutor(threads)
    pending: deque[Future[T]] = deque()
    try:
        for piece in pieces:
            pending.append(pool.submit(work, piece))
            if len(pending) > _AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _widened(ids: Ids) -> Ids:
    """In this machine's byte order, and of a width that the loops are compiled for."""
    if ids.dtype.itemsize == 1 or ids.dtype == np.int16:
        return ids.astype(np.int32)
    return ids.astype(ids.dtype.newbyteorder("="), copy=False)


def _unsigned(ids: Ids) -> Ids:
    """The same bytes: a negative id becomes one beyond every table, which is what it is. Always read-only, because the
    loops are compiled anew for arrays that are not."""
    same = ids.view(f"u{ids.dtype.itemsize}")
    same.flags.writeable = False
    return same


def warm() -> None:
    """Compile, or load from the cache, what counting needs: about 0.5 s that nobody then waits for."""
    for width in (2, 4, 8):
        ids = np.zeros(1, dtype=f"u{width}")
        ids.flags.writeable = False
        _kernel()(ids, np.zeros(1, dtype=np.uint32), 0)


@cache
def _kernel() -> Callable[[Ids, UInt32, int], _Edges]:
    if not jit.available():
        return _with_numpy
    count, find_runs = jit.compiled(_count), jit.compiled(_find_runs)
    return lambda ids, counts, floor: (count(ids, counts), *find_runs(ids, floor))


def _count(ids: Ids, counts: UInt32) -> int:
    """Compiled: about 1.4 G ids a second and thread. Returns how many ids have no place in the table."""
    size = np.uint64(len(counts))
    strays = 0
    for i in range(len(ids)):
        token = ids[i]
        if token < size:
            counts[token] += 1
        else:
            strays += 1
    return strays


def _find_runs(ids: Ids, floor: int) -> tuple[int, int, int, int]:
    """Compiled. Length of the first run and the last; of the longest, if it exceeds `floor`, and where it starts."""
    n = len(ids)
    first = last = 1
    while first < n and ids[first] == ids[0]:
        first += 1
    while last < n and ids[n - 1 - last] == ids[n - 1]:
        last += 1
    longest, start, at = floor, 0, floor
    if first > floor:
        longest, at = first, 2 * first
    half = (longest + 1) // 2
    # A run longer than the longest so far covers one of any `longest + 1` places in a row, and from there reaches half
    # of its length to one side: of the ids, few are looked at.
    while at < n:
        token = ids[at]
        if (at >= half and ids[at - half] == token) or (at + half < n and ids[at + half] == token):
            begin, end = at, at + 1
            while begin > 0 and ids[begin - 1] == token:
                begin -= 1
            while end < n and ids[end] == token:
                end += 1
            if end - begin > longest:
                longest, start = end - begin, begin
                half = (longest + 1) // 2
            at = end + longest
        else:
            at += longest + 1
    return first, last, longest if longest > floor else 0, start


def _with_numpy(ids: Ids, counts: UInt32, floor: int) -> _Edges:
    """About 0.2 G ids a second and thread."""
    size, strays = len(counts), 0
    for begin in range(0, len(ids), _SUB_IDS):
        sub = ids[begin : begin + _SUB_IDS]
        kept = sub if int(sub.max()) < size else sub[sub < size]
        strays += len(sub) - len(kept)
        found = np.bincount(kept.astype(np.int64))
        counts[: len(found)] += found.astype(np.uint32)
    edges = np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1, [len(ids)]])
    lengths = np.diff(edges)
    at = int(lengths.argmax())
    longest, start = (int(lengths[at]), int(edges[at])) if lengths[at] > floor else (0, 0)
    return strays, int(lengths[0]), int(lengths[-1]), longest, start
