"""How often each id occurs: a small, exact, mergeable summary of any number of ids.

One corrupt id sizes no table (`np.bincount` would ask for 32 GiB for 2^32 - 1): ids outside the table are kept one by
one, up to a bound. Which of them are kept depends on the ids alone, so sums are the same in any order, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from diag.shards.reader import Ids

# Distinct ids kept outside the table, the smallest first. A misread file has a new one at every token.
MAX_STRAYS = 1 << 18

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class IdCounts:
    """How often each id occurs. Two of equal `size` add up to the counts of both, in any order.

    counts: int64 [size], the ids 0 to size - 1. stray_ids, stray_counts: int64 [at most MAX_STRAYS], the smallest ids
    outside that range (negative ids too), rising. untracked: tokens outside it whose id was not kept. negative: tokens
    with an id below 0, kept or not. max_id: the largest of all ids, -1 if there are none (or none from 0 up).
    """

    counts: Int64 = field(repr=False)
    stray_ids: Int64 = field(repr=False)
    stray_counts: Int64 = field(repr=False)
    untracked: int
    negative: int
    max_id: int

    @classmethod
    def empty(cls, size: int) -> IdCounts:
        """Counts of nothing: the neutral element of the sum."""
        none = np.empty(0, dtype=np.int64)
        return cls(np.zeros(size, dtype=np.int64), none, none, 0, 0, -1)

    @property
    def size(self) -> int:
        """Entries in the table."""
        return len(self.counts)

    @property
    def used(self) -> int:
        """Entries of the table up to the last that is not 0, or all: what follows need not be touched."""
        return min(self.max_id + 1, self.size)

    @property
    def tokens(self) -> int:
        """All ids counted, strays included."""
        return int(self.counts[: self.used].sum()) + self.outside

    @property
    def outside(self) -> int:
        """Tokens whose id is negative or at least `size`."""
        return int(self.stray_counts.sum()) + self.untracked

    def __add__(self, other: IdCounts) -> IdCounts:
        ids, counts, dropped = merge_strays(
            self.stray_ids, self.stray_counts, other.stray_ids, other.stray_counts, MAX_STRAYS
        )
        used = max(self.used, other.used)
        table = np.zeros(self.size, dtype=np.int64)
        np.add(self.counts[:used], other.counts[:used], out=table[:used])
        return IdCounts(
            table,
            ids,
            counts,
            self.untracked + other.untracked + dropped,
            self.negative + other.negative,
            max(self.max_id, other.max_id),
        )

    def out_of_range(self, vocab_size: int) -> int:
        """Tokens whose id is negative or ≥ vocab_size, which must not exceed `size`."""
        return int(self.counts[vocab_size:].sum()) + self.outside

    def of(self, token_id: int) -> int:
        """Occurrences of one id; of a stray that was not kept, 0."""
        if 0 <= token_id < self.size:
            return int(self.counts[token_id])
        return int(self.stray_counts[self.stray_ids == token_id].sum())

    def present(self) -> tuple[Int64, Int64]:
        """(ids, counts), int64 [distinct]: most frequent first, the smaller id first among equals. Sorted once."""
        return self._present

    @cached_property
    def _present(self) -> tuple[Int64, Int64]:
        ids = np.flatnonzero(self.counts[: self.used])
        all_ids = np.concatenate([ids, self.stray_ids])
        counts = np.concatenate([self.counts[ids], self.stray_counts])
        order = np.lexsort((all_ids, -counts))
        return all_ids[order], counts[order]


def merge_strays(ids: Int64, counts: Int64, more_ids: Int64, more_counts: Int64, most: int) -> tuple[Int64, Int64, int]:
    """Add two lists of (id, count) and keep the `most` smallest ids; the third is how many tokens were dropped.

    An id among the smallest of a union is among the smallest of each part that has it, so its count is complete.
    """
    if not len(more_ids):
        return ids, counts, 0
    merged, where = np.unique(np.concatenate([ids, more_ids]), return_inverse=True)
    sums = np.zeros(len(merged), dtype=np.int64)
    np.add.at(sums, where, np.concatenate([counts, more_counts]))
    return merged[:most], sums[:most], int(sums[most:].sum())


def count_ids(ids: Ids, size: int) -> Int64:
    """int64 [size]: how often each of 0 to size - 1 occurs in `ids` (any shape). Other ids are left out."""
    flat = ids.reshape(-1)
    return np.bincount(flat[(flat >= 0) & (flat < size)].astype(np.int64), minlength=size)
