"""What the alarms look at: the facts of a dataset, of one of its files, or of a window."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diag.errors import one_line
from diag.shards.figures.duplicates import Duplicates
from diag.shards.figures.round_trip import NO_TOKENIZER, RoundTrip


@dataclass(frozen=True)
class Names:
    """File names for a sentence: the first three in full, the others counted."""

    all: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many."""
        return len(self.all)

    def __str__(self) -> str:
        shown = ", ".join(one_line(name, 80) for name in self.all[:3])
        return shown if self.count <= 3 else f"{shown} and {self.count - 3:,} more"


@dataclass(frozen=True)
class Separators:
    """Which ids end documents. stated: by the format or its manifest. own: the tokenizer's. counts: id → occurrences.

    needed: whether only such an id can tell where documents end, and the writer is known to have written it. ordinary:
    the text of `stated` where the tokenizer has it as an ordinary entry, else "".
    """

    stated: int | None = None
    own: tuple[int, ...] = ()
    counts: tuple[tuple[int, int], ...] = ()
    needed: bool = False
    ordinary: str = ""

    def __str__(self) -> str:
        return ", ".join(str(id) for id, _ in self.counts)

    def occurrences(self, ids: tuple[int, ...]) -> int:
        """Of these ids together."""
        return sum(count for id, count in self.counts if id in ids)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the alarms look at. Shares are fractions of `tokens`; vocab_size and unk_id are None when not known.

    misread: what the ids say against the type they were read as, "" if nothing. documents: how many; median_document:
    tokens of the middle one; both 0 where not known. run: length in tokens of the longest run of one id, run_id.
    files: number of all files. bad_parts: files that are degenerate or invalid by themselves; odd_parts: files that
    differ from the rest; unusable: files that were left out. id_limit: the largest id that the stored type can hold,
    None where only a part is examined.
    """

    tokens: int
    vocab_size: int | None
    vocab_source: str
    out_of_range: int
    implausible: int
    max_id: int
    top_id: int
    top_share: float
    entropy_bits: float
    unk_id: int | None
    unk_share: float
    misread: str = ""
    separators: Separators = Separators()
    documents: int = 0
    median_document: int = 0
    run: int = 0
    run_id: int = 0
    files: int = 1
    bad_parts: Names = Names()
    odd_parts: Names = Names()
    unusable: Names = Names()
    id_limit: int | None = None
    distinct: int = 0
    empty_documents: int = 0
    fill_at_end: bool = False
    run_file: str = ""
    run_start: int = 0
    minus_one: int = 0
    label_masks: int = 0
    order_lost: bool = False
    bigram_nats: float = 0.0
    unigram_nats: float = 0.0
    round_trip: RoundTrip = NO_TOKENIZER
    duplicates: Duplicates | None = None
    identical: Names = Names()
    window: str = ""
    missing: Names = Names()
    unknown_headers: Names = Names()
    padding: int = 0

    @property
    def padded(self) -> float:
        """Share of padding in what is stored."""
        return self.padding / max(1, self.tokens + self.padding)

    @property
    def bits(self) -> int:
        """Of the largest id."""
        return self.max_id.bit_length()

    @property
    def run_share(self) -> float:
        """Of all ids, those of the longest run."""
        return self.run / max(1, self.tokens)

    @property
    def fits(self) -> str:
        """What makes text of the ids, as a sentence with a space before it; "" if nothing does."""
        return f" What gives text is {self.round_trip.fits}." if self.round_trip.fits else ""

    @property
    def unreachable(self) -> float:
        """Share of the vocabulary that the stored type of the ids cannot name."""
        if self.vocab_size is None or self.id_limit is None:
            return 0.0
        return max(0, self.vocab_size - 1 - self.id_limit) / self.vocab_size

    @property
    def entropy_limit_bits(self) -> float:
        """log2 n: no estimate from n tokens can exceed it."""
        return math.log2(self.tokens)
