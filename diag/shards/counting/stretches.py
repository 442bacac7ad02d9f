"""Runs of one id, and the documents that a separator cuts, in stretches of ids that can be joined to longer ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diag.shards.counting.documents import NO_DOCUMENTS, Documents
from diag.shards.reader import Ids


@dataclass(frozen=True)
class Runs:
    """Runs of one id in a stretch of ids: the first, the last, and the longest with its start. The longest has length 0
    if an earlier stretch is known to have one as long."""

    tokens: int
    first_id: int
    first: int
    last_id: int
    last: int
    longest: int
    longest_id: int
    start: int

    def then(self, after: Runs) -> Runs:
        """Both stretches as one. A run that crosses the border counts whole; of equal runs the earlier is kept."""
        joined = self.last + after.first if self.last_id == after.first_id else 0
        candidates = (
            (self.longest, -self.start, self.longest_id),
            (joined, -(self.tokens - self.last), self.last_id),
            (after.longest, -(self.tokens + after.start), after.longest_id),
        )
        longest, start, longest_id = max(candidates, key=lambda run: run[:2])
        return Runs(
            self.tokens + after.tokens,
            self.first_id,
            joined if joined and self.first == self.tokens else self.first,
            after.last_id,
            joined if joined and after.last == after.tokens else after.last,
            longest,
            longest_id,
            -start,
        )


@dataclass(frozen=True, eq=False)
class Cuts:
    """Where one separator stands in a stretch: the tokens before the first, after the last, and the whole documents
    between. Without a separator all tokens are `head` and there is no `tail`."""

    separators: int
    head: int
    tail: int
    inner: Documents

    @classmethod
    def of(cls, ids: Ids, separator: int) -> Cuts:
        """In ids [tokens]."""
        at = np.flatnonzero(ids == separator)
        if not len(at):
            return cls(0, len(ids), 0, NO_DOCUMENTS)
        return cls(len(at), int(at[0]), len(ids) - 1 - int(at[-1]), Documents.of(np.diff(at) - 1))

    def then(self, after: Cuts) -> Cuts:
        """Both stretches as one."""
        if not self.separators:
            return Cuts(after.separators, self.head + after.head, after.tail, after.inner)
        if not after.separators:
            return Cuts(self.separators, self.head, self.tail + after.head, self.inner)
        between = Documents.of(np.array([self.tail + after.head], dtype=np.int64))
        return Cuts(self.separators + after.separators, self.head, after.tail, self.inner + between + after.inner)

    def closed(self) -> Documents:
        """All documents of a file: its first and last too, unless they are empty."""
        edges = [length for length in (self.head, self.tail) if length]
        return self.inner + Documents.of(np.array(edges, dtype=np.int64))
