"""Count every id of a shard, exactly; one corrupt id can neither crash the count nor size a table.

Measured (data-facts.md): 512 Ki ids a chunk with a maximum check, two threads: about 600 M ids a second from the page
cache. `np.bincount` sizes its output by the largest id, so a single 2^32 - 1 would ask for 32 GiB: hence the check.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from diag.shards.reader import Ids, TokenShard

CHUNK_IDS = 512 * 1024
THREADS = 2
# Ids outside the table are kept one by one up to this many distinct ones a thread. A misread file has a new one at
# every token; past the bound they are only tallied.
MAX_STRAYS = 1 << 18

Progress = Callable[[int, int], None]
"""Called with (ids done, ids in all), always from the caller's thread; what it raises stops the count."""


@dataclass(frozen=True, eq=False)
class IdCounts:
    """How often each id occurs. Two of equal `size` add up to the counts of both.

    counts: int64 [size], the ids 0 to size - 1. strays: id → count outside that range (negative ids too).
    untracked: tokens outside it whose id was not kept, see MAX_STRAYS. negative: tokens with an id below 0, tracked
    or not. min_id, max_id: over all ids; 0 and -1 if there are none.
    """

    counts: npt.NDArray[np.int64] = field(repr=False)
    strays: dict[int, int] = field(repr=False)
    untracked: int
    negative: int
    min_id: int
    max_id: int

    @property
    def size(self) -> int:
        """Entries in the table."""
        return len(self.counts)

    @property
    def tokens(self) -> int:
        """All ids counted, strays included."""
        return int(self.counts.sum()) + self.outside

    @property
    def outside(self) -> int:
        """Tokens whose id is negative or at least `size`."""
        return sum(self.strays.values()) + self.untracked

    def __add__(self, other: IdCounts) -> IdCounts:
        if not self.tokens or not other.tokens:
            return self if self.tokens else other
        return IdCounts(
            self.counts + other.counts,
            dict(Counter(self.strays) + Counter(other.strays)),
            self.untracked + other.untracked,
            self.negative + other.negative,
            min(self.min_id, other.min_id),
            max(self.max_id, other.max_id),
        )

    def out_of_range(self, vocab_size: int) -> int:
        """Tokens whose id is negative or ≥ vocab_size, which must not exceed `size`."""
        return int(self.counts[vocab_size:].sum()) + self.outside

    def of(self, token_id: int) -> int:
        """Occurrences of one id."""
        return int(self.counts[token_id]) if 0 <= token_id < self.size else self.strays.get(token_id, 0)

    def present(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(ids, counts), int64 [distinct]: most frequent first, the smaller id first among equals."""
        ids = np.flatnonzero(self.counts)
        stray = sorted(self.strays)
        all_ids = np.concatenate([ids, np.array(stray, dtype=np.int64)])
        counts = np.concatenate([self.counts[ids], np.array([self.strays[i] for i in stray], dtype=np.int64)])
        order = np.lexsort((all_ids, -counts))
        return all_ids[order], counts[order]


def count_ids(ids: Ids, size: int, *, progress: Progress | None = None) -> npt.NDArray[np.int64]:
    """int64 [size]: how often each of 0 to size - 1 occurs in `ids` (any shape). Other ids are left out."""
    return tally([ids.reshape(-1)], size, progress=progress).counts


def count_shard(
    shard: TokenShard, size: int, *, first: int | None = None, progress: Progress | None = None
) -> IdCounts:
    """Count the shard, or its first `first` ids in file order. Memory: 8 × size bytes for each of two threads."""
    left = shard.tokens if first is None else min(first, shard.tokens)
    spans = []
    for index, file in enumerate(shard.files):
        for start in range(0, min(file.tokens, left), CHUNK_IDS):
            spans.append((index, start, min(start + CHUNK_IDS, file.tokens, left)))
        left -= min(file.tokens, left)
    # Mapped again for each chunk: a folder can hold more files than the process may keep open.
    loads = [lambda i=i, a=a, b=b: shard.ids(i)[a:b] for i, a, b in spans]
    return _run(loads, sum(stop - start for _, start, stop in spans), size, progress)


def tally(arrays: Sequence[Ids], size: int, *, progress: Progress | None = None) -> IdCounts:
    """Count ids that are in memory; each array is [tokens] of any integer type."""
    loads = [
        lambda a=array, s=start: a[s : s + CHUNK_IDS] for array in arrays for start in range(0, len(array), CHUNK_IDS)
    ]
    return _run(loads, sum(len(array) for array in arrays), size, progress)


class _Tally:
    """One thread's running counts."""

    def __init__(self, size: int) -> None:
        self.counts = np.zeros(size, dtype=np.int64)
        self.strays: Counter[int] = Counter()
        self.untracked = 0
        self.negative = 0
        self.low: int | None = None
        self.high = -1

    def add(self, chunk: Ids) -> int:
        low, high = int(chunk.min()), int(chunk.max())
        self.high = high if self.low is None else max(self.high, high)
        self.low = low if self.low is None else min(self.low, low)
        if low < 0 or high >= len(self.counts):
            outside = (chunk < 0) | (chunk >= len(self.counts))
            self._add_strays(chunk[outside])
            chunk = chunk[~outside]
        part = np.bincount(chunk)
        self.counts[: len(part)] += part
        return len(chunk)

    def _add_strays(self, strays: Ids) -> None:
        self.negative += int((strays < 0).sum())
        if len(self.strays) >= MAX_STRAYS:
            self.untracked += len(strays)
            return
        ids, counts = np.unique(strays, return_counts=True)
        room = MAX_STRAYS - len(self.strays)
        self.strays.update(dict(zip(ids[:room].tolist(), counts[:room].tolist(), strict=True)))
        self.untracked += int(counts[room:].sum())

    def done(self) -> IdCounts:
        return IdCounts(self.counts, dict(self.strays), self.untracked, self.negative, self.low or 0, self.high)


def _run(loads: Sequence[Callable[[], Ids]], total: int, size: int, progress: Progress | None) -> IdCounts:
    workers = min(THREADS, max(1, len(loads)))
    tallies = [_Tally(size) for _ in range(workers)]
    free: SimpleQueue[_Tally] = SimpleQueue()
    for each in tallies:
        free.put(each)

    def work(load: Callable[[], Ids]) -> int:
        tally_ = free.get()
        try:
            chunk = load()
            tally_.add(chunk)
            return len(chunk)
        finally:
            free.put(tally_)

    done = 0
    pool = ThreadPoolExecutor(workers)
    try:
        for counted in pool.map(work, loads):
            done += counted
            if progress:
                progress(done, total)
    finally:
        pool.shutdown(cancel_futures=True)
    result = tallies[0].done()
    for other in tallies[1:]:
        result = result + other.done()
    return result
