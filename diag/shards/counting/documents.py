"""How long documents are: an exact, mergeable tally of lengths, from separators or from what the format states."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from diag.shards.reader import Lengths

# Lengths below 2^12 have a bucket each; above, 64 buckets a doubling (1.6 % wide), up to 2^44 tokens.
_EXACT_BITS, _FINE_BITS, _MOST_BITS = 12, 6, 44
_EXACT = 1 << _EXACT_BITS
BUCKETS = _EXACT + ((_MOST_BITS - _EXACT_BITS) << _FINE_BITS)

Int64 = npt.NDArray[np.int64]


def bucket_of(lengths: Lengths) -> Int64:
    """The bucket of each length, int64 of the same shape."""
    lengths = np.minimum(np.maximum(lengths, 0), (1 << _MOST_BITS) - 1)
    exponent = np.frexp(lengths.astype(np.float64))[1].astype(np.int64) - 1  # floor(log2), exact below 2^53
    octave = np.maximum(exponent - _EXACT_BITS, 0)
    step = exponent - _FINE_BITS
    fine = (lengths >> np.maximum(step, 0)) - (1 << _FINE_BITS)
    return np.where(lengths < _EXACT, lengths, _EXACT + (octave << _FINE_BITS) + fine)


def bucket_starts() -> Int64:
    """The smallest length of each bucket, int64 [BUCKETS + 1]; the last entry closes the last bucket."""
    octaves = np.arange(_EXACT_BITS, _MOST_BITS, dtype=np.int64)[:, None]
    fine = np.arange(1 << _FINE_BITS, dtype=np.int64)[None]
    above = (((1 << _FINE_BITS) + fine) << (octaves - _FINE_BITS)).reshape(-1)
    return np.concatenate([np.arange(_EXACT, dtype=np.int64), above, [1 << _MOST_BITS]])


@dataclass(frozen=True, eq=False)
class Documents:
    """A tally of document lengths in tokens. Two add up to the tally of both, in any order.

    histogram: int64 [BUCKETS]. documents, tokens: how many, and the sum of their lengths. shortest, longest: tokens;
    0 where there are none.
    """

    histogram: Int64 = field(repr=False)
    documents: int = 0
    tokens: int = 0
    shortest: int = 0
    longest: int = 0

    @classmethod
    def of(cls, lengths: Lengths) -> Documents:
        """The tally of these lengths."""
        histogram = np.bincount(bucket_of(lengths), minlength=BUCKETS)
        if not len(lengths):
            return cls(histogram)
        return cls(histogram, len(lengths), int(lengths.sum()), int(lengths.min()), int(lengths.max()))

    def __add__(self, other: Documents) -> Documents:
        if not other.documents or not self.documents:
            return self if self.documents else other
        return Documents(
            self.histogram + other.histogram,
            self.documents + other.documents,
            self.tokens + other.tokens,
            min(self.shortest, other.shortest),
            max(self.longest, other.longest),
        )

    @property
    def mean(self) -> float:
        """Tokens per document."""
        return self.tokens / self.documents if self.documents else 0.0

    def quantile(self, share: float) -> int:
        """The length that `share` of the documents do not exceed: exact below 4096 tokens, within 1.6 % above."""
        if not self.documents:
            return 0
        rank = max(1, int(np.ceil(share * self.documents)))
        bucket = int(np.searchsorted(np.cumsum(self.histogram), rank))
        return min(int(bucket_starts()[bucket]), self.longest)

    def curve(self, bins: int = 40) -> tuple[npt.NDArray[np.float64], Int64]:
        """(length, documents), each [at most bins], for a logarithmic axis: lengths that lie together, drawn at their
        geometric middle. Empty documents count with those of one token."""
        if not self.documents:
            return np.empty(0), np.empty(0, dtype=np.int64)
        edges = np.unique(np.geomspace(1, max(self.longest, 1) + 1, bins + 1).round().astype(np.int64))
        starts = np.maximum(bucket_starts()[:-1], 1)
        where = np.searchsorted(edges, starts, side="right") - 1
        inside = where < len(edges) - 1
        sums = np.zeros(len(edges) - 1, dtype=np.int64)
        np.add.at(sums, where[inside], self.histogram[inside])
        return np.sqrt(edges[:-1] * (edges[1:] - 1.0)), sums

    def below(self, length: int) -> int:
        """Documents shorter than `length` tokens, which must be below 4096."""
        return int(self.histogram[:length].sum())


NO_DOCUMENTS = Documents.of(np.empty(0, dtype=np.int64))
"""The tally of nothing: the neutral element of the sum."""
