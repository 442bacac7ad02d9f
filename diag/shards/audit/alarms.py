"""When is a shard no data to learn from? A table: each row states its number, its threshold and its status, but
`misread`, whose sentence comes with its own figure.

Source: data-facts.md, "Default alarms". Of the rows with one code the first that fires is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from diag.errors import one_line

ShardStatus = Literal["ok", "suspect", "degenerate", "invalid"]
SEVERITY: tuple[ShardStatus, ...] = ("ok", "suspect", "degenerate", "invalid")

SMALL_VOCAB = 1000  # below it, low entropy is normal: characters or bytes are the tokens
IMPLAUSIBLE_ID = 1 << 20  # four times the largest vocabulary in use


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

    needed: whether documents can be told only by such an id, and the writer says that it wrote one or is known to.
    ordinary: the text of `stated` where the tokenizer has it as an ordinary entry, else "".
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

    misread: what the ids say against the type they were read as, "" if nothing. documents, median_document: how many,
    and tokens of the middle one; 0 where not known. run, run_id: the longest run of one id, in tokens. files: in all;
    of these bad_parts are degenerate or invalid by themselves, odd_parts differ from the rest, and unusable were left
    out. id_limit: the largest id that the stored type can hold, None where only a part is looked at.
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


@dataclass(frozen=True)
class Reason:
    """An alarm that fired: a stable code, and a sentence with its number, unit and threshold."""

    code: str
    message: str


@dataclass(frozen=True)
class Alarm:
    """A row. `fires(facts, threshold)` decides; `says` is formatted with the facts `f` and `threshold`."""

    code: str
    status: ShardStatus
    threshold: float
    fires: Callable[[Facts, float], bool]
    says: str


LEAST_TOKENS = 32  # below, a share says nothing: the last file of a corpus may hold one token


def _low_entropy(f: Facts, bits: float) -> bool:
    # A sample of n tokens cannot show more than log2 n bits: below that, low entropy says nothing about the data.
    return f.entropy_bits < bits < f.entropy_limit_bits and (f.vocab_size is None or f.vocab_size >= SMALL_VOCAB)


def _wrapped(f: Facts, share: float) -> bool:
    # Only when each id could have been met once; 65 535 is the row above this one.
    power = f.max_id > 254 and f.max_id != 65_535 and (f.max_id + 1) & f.max_id == 0
    large = f.vocab_size is not None and SMALL_VOCAB <= f.vocab_size <= f.tokens
    return power and large and f.max_id < share * (f.vocab_size or 0)


def _foreign_separator(f: Facts, most: float) -> bool:
    # </s> of a Qwen vocabulary is an ordinary entry; it was once taken for the end of text (formats.md, "A trap").
    ends = f.separators
    stated = ends.stated is not None and ends.occurrences((ends.stated,)) > 0
    return stated and bool(ends.ordinary) and bool(ends.own) and ends.occurrences(ends.own) <= most


_OUT = (
    "{f.out_of_range:,} of {f.tokens:,} ids (threshold {threshold:.0f}) are outside the vocabulary of {f.vocab_size:,} "
    "entries ({f.vocab_source}); the largest is {f.max_id:,}. Check the type of the ids and the tokenizer."
)
_NEGATIVE = (
    "{f.out_of_range:,} of {f.tokens:,} ids (threshold {threshold:.0f}) are negative. Check the type of the ids."
)
_TOP = "The id {f.top_id} makes up {f.top_share:.4%} of {f.tokens:,} tokens (threshold {threshold:.0%})."
_ENTROPY = "The entropy of {f.tokens:,} tokens is {f.entropy_bits:.4f} bits a token (threshold {threshold:g} bits)."
_UNK = (
    "The unknown token, id {f.unk_id}, makes up {f.unk_share:.4%} of {f.tokens:,} tokens (threshold {threshold:.0%})."
)
_HUGE = (
    "{f.implausible:,} of {f.tokens:,} ids (threshold {threshold:.0%}) are 1,048,576 or more, which no known "
    "vocabulary reaches; the largest is {f.max_id:,}. Check the type of the ids."
)
_FOREIGN = (
    "Documents end with id {f.separators.stated} ({f.separators.ordinary}), an ordinary entry of the tokenizer, whose "
    "own end of text never occurs (threshold {threshold:.0f})."
)

ALARMS: tuple[Alarm, ...] = (
    Alarm("misread", "suspect", 0, lambda f, t: bool(f.misread), "{f.misread}"),
    Alarm("out_of_range", "invalid", 0, lambda f, t: f.vocab_size is not None and f.out_of_range > t, _OUT),
    Alarm("negative_ids", "invalid", 0, lambda f, t: f.vocab_size is None and f.out_of_range > t, _NEGATIVE),
    Alarm(
        "wrapped_16_bit",
        "invalid",
        65_535,
        lambda f, t: f.max_id == t and (f.vocab_size or 0) > t + 1,
        "The largest id is exactly {threshold:,.0f} (threshold: 2^16 - 1) and the vocabulary has {f.vocab_size:,} "
        "entries: wider ids were cut to 16 bits when they were written.",
    ),
    Alarm("top_id", "degenerate", 0.50, lambda f, t: f.top_share > t and f.tokens >= LEAST_TOKENS, _TOP),
    Alarm("top_id", "suspect", 0.20, lambda f, t: f.top_share > t and f.tokens >= LEAST_TOKENS, _TOP),
    Alarm("low_entropy", "degenerate", 2.0, _low_entropy, _ENTROPY),
    Alarm("low_entropy", "suspect", 5.0, _low_entropy, _ENTROPY),
    Alarm("unk", "degenerate", 0.10, lambda f, t: f.unk_share > t, _UNK),
    Alarm("unk", "suspect", 0.01, lambda f, t: f.unk_share > t, _UNK),
    Alarm(
        "implausible_ids",
        "invalid",
        0.01,
        lambda f, t: f.vocab_size is None and f.implausible > t * f.tokens,
        _HUGE,
    ),
    Alarm("implausible_ids", "suspect", 0, lambda f, t: f.vocab_size is None and f.implausible > t, _HUGE),
    Alarm(
        "wrapped_narrow",
        "suspect",
        0.5,
        _wrapped,
        "The largest id is {f.max_id:,}, one less than a power of two and below {threshold:.0%} of the vocabulary of "
        "{f.vocab_size:,} entries: a narrower integer may have wrapped.",
    ),
    Alarm(
        "narrow_type",
        "suspect",
        0.05,  # an embedding padded a little beyond 65 536 rows is no alarm
        lambda f, t: f.unreachable > t and f.max_id != f.id_limit,
        "The stored type of the ids ends at {f.id_limit:,}, so {f.unreachable:.0%} (threshold {threshold:.0%}) of the "
        "vocabulary of {f.vocab_size:,} entries cannot occur: larger ids, if there were any, were cut when written.",
    ),
    Alarm(
        "no_separator",
        "suspect",
        32_768,
        lambda f, t: f.separators.needed and f.tokens >= t and not any(count for _, count in f.separators.counts),
        "No id that ends documents ({f.separators}) occurs in {f.tokens:,} tokens (threshold: one in "
        "{threshold:,.0f}). A model trained on this does not learn where a text ends.",
    ),
    Alarm("foreign_separator", "suspect", 0, _foreign_separator, _FOREIGN),
    Alarm(
        "short_documents",
        "suspect",
        8,
        lambda f, t: f.documents > 1 and f.median_document < t,
        "Half of the {f.documents:,} documents have {f.median_document:,} tokens or fewer (threshold {threshold:.0f}).",
    ),
    Alarm(
        "long_run",
        "suspect",
        1000,
        lambda f, t: f.run > t,
        "The id {f.run_id} stands {f.run:,} times in a row (threshold {threshold:,.0f}).",
    ),
    Alarm(
        "bad_file",
        "suspect",
        0,
        lambda f, t: t < f.bad_parts.count < f.files,  # if all are, the whole shard is
        "{f.bad_parts.count:,} of {f.files:,} files (threshold {threshold:.0f}) are degenerate or invalid by "
        "themselves: {f.bad_parts}.",
    ),
    Alarm(
        "odd_file",
        "suspect",
        0,
        lambda f, t: f.odd_parts.count > t,
        "{f.odd_parts.count:,} of {f.files:,} files (threshold {threshold:.0f}) hold other text than the rest: "
        "{f.odd_parts}.",
    ),
    Alarm(
        "unusable_file",
        "suspect",
        0,
        lambda f, t: f.unusable.count > t,
        "{f.unusable.count:,} of {f.files:,} files (threshold {threshold:.0f}) cannot be used and were left out: "
        "{f.unusable}.",
    ),
)


def judge(facts: Facts) -> tuple[ShardStatus, tuple[Reason, ...]]:
    """The worst status of the alarms that fire, and their sentences in table order; ("ok", ()) if none does."""
    fired: dict[str, Alarm] = {}
    for alarm in ALARMS:
        if alarm.code not in fired and alarm.fires(facts, alarm.threshold):
            fired[alarm.code] = alarm
    status = max((alarm.status for alarm in fired.values()), key=SEVERITY.index, default=SEVERITY[0])
    reasons = (Reason(a.code, a.says.format(f=facts, threshold=a.threshold)) for a in fired.values())
    return status, tuple(reasons)
