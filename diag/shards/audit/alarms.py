"""When is a shard no data to learn from? A table of alarms: a row has a code, a status, a threshold, and a sentence.

The sentence states the number and the threshold; only that of `misread` is written where the type is guessed. Several
rows may have one code: the first of them that fires is reported. docs/shards.md explains each code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from diag.results import thresholds_shards as limits
from diag.results.threshold import Threshold
from diag.shards.audit.facts import Facts
from diag.units import Percents

# An alarm with the status "ok" is a remark: it has a code that programs can look for, and condemns nothing.
ShardStatus = Literal["ok", "suspect", "degenerate", "invalid"]
SEVERITY: tuple[ShardStatus, ...] = ("ok", "suspect", "degenerate", "invalid")


@dataclass(frozen=True)
class Reason:
    """An alarm that fired: a stable code, and a sentence with its number, unit and threshold."""

    code: str
    message: str


@dataclass(frozen=True)
class Alarm:
    """A row. `fires(facts, threshold)` decides; `says` is formatted with the facts `f` and the number `threshold`."""

    code: str
    status: ShardStatus
    threshold: Threshold
    fires: Callable[[Facts, float], bool]
    says: str


def _low_entropy(f: Facts, bits: float) -> bool:
    # A sample of n tokens cannot show more than log2 n bits: below that, low entropy says nothing about the data.
    large = f.vocab_size is None or f.vocab_size >= limits.LARGE_VOCABULARY.value
    return f.entropy_bits < bits < f.entropy_limit_bits and large


def _frequent_id(f: Facts, share: float) -> bool:
    # Of bytes and characters the space is one in five: only half of all ids says something there.
    if f.max_id < limits.BYTES.value and share < limits.TOP_ID_DEGENERATE.value:
        return False
    return f.top_share > share and f.tokens >= limits.SHARE_MIN_TOKENS.value


def _wrapped(f: Facts, share: float) -> bool:
    # Only where each id could have occurred once. The row wrapped_16_bit covers 65,535.
    power = (f.max_id + 1) & f.max_id == 0 and f.max_id >= limits.WRAPPED_NARROW_MIN.value
    large = f.vocab_size is not None and limits.LARGE_VOCABULARY.value <= f.vocab_size <= f.tokens
    return power and f.max_id != limits.WRAPPED_16_BIT.value and large and f.max_id < share * (f.vocab_size or 0)


def _uniform(f: Facts, share: float) -> bool:
    enough = f.tokens >= limits.ENOUGH_IDS.value * f.distinct
    return f.distinct >= limits.LARGE_VOCABULARY.value and enough and f.entropy_bits > share * math.log2(f.distinct)


def _foreign_separator(f: Facts, most: float) -> bool:
    # In Qwen's vocabulary </s> is an ordinary entry, which a writer of shards can take for the end of text.
    ends = f.separators
    stated = ends.stated is not None and ends.occurrences((ends.stated,)) > 0
    return stated and bool(ends.ordinary) and bool(ends.own) and ends.occurrences(ends.own) <= most


def _minus_one(f: Facts, most: float) -> bool:
    # 65,535 is also the largest id of 16 bits, which wrapped ids reach one by one.
    return f.minus_one > most and f.max_id in (0xFFFF, 0xFFFF_FFFF)


_MINUS = (
    "{f.minus_one:,} of {f.tokens:,} ids (threshold {threshold:.0f}) are {f.max_id:,}: -1 stored without a sign. It is "
    "no token; it marks padding or a border between pieces."
)
_MASK = (
    "{f.label_masks:,} of {f.tokens:,} ids (threshold {threshold:.0f}) are -100, which masks labels: the column holds "
    "labels, or ids were padded with it."
)
_OUT = (
    "{f.out_of_range:,} of {f.tokens:,} ids (threshold {threshold:.0f}) are outside the vocabulary of {f.vocab_size:,} "
    "entries ({f.vocab_source}); the largest is {f.max_id:,}. Check the type of the ids and the tokenizer."
)
_NEGATIVE = (
    "{f.out_of_range:,} of {f.tokens:,} ids (threshold {threshold:.0f}) are negative. Check the type of the ids."
)
_TOP = "The id {f.top_id} makes up {f.top_share:.2%} of {f.tokens:,} tokens (threshold {threshold:.0%})."
_ENTROPY = "The entropy of {f.tokens:,} tokens is {f.entropy_bits:.4f} bits a token (threshold {threshold:g} bits)."
_UNK = (
    "The unknown token, id {f.unk_id}, makes up {f.unk_share:.2%} of {f.tokens:,} tokens (threshold {threshold:.0%})."
)
_HUGE = (
    f"{{f.implausible:,}} of {{f.tokens:,}} ids (threshold {{threshold:.0%}}) are {limits.PLAUSIBLE_ID.value:,} or "
    "more, which no known vocabulary reaches; the largest is {f.max_id:,}. Check the type of the ids."
)
_FOREIGN = (
    "Documents end with id {f.separators.stated} ({f.separators.ordinary}), an ordinary entry of the tokenizer, whose "
    "own end of text never occurs (threshold {threshold:.0f})."
)

ALARMS: tuple[Alarm, ...] = (
    Alarm("misread", "suspect", limits.ANY, lambda f, t: bool(f.misread), "{f.misread}"),
    Alarm("negative_as_unsigned", "invalid", limits.ANY, _minus_one, _MINUS),
    Alarm("label_mask", "invalid", limits.ANY, lambda f, t: f.label_masks > t, _MASK),
    Alarm("out_of_range", "invalid", limits.ANY, lambda f, t: f.vocab_size is not None and f.out_of_range > t, _OUT),
    Alarm("negative_ids", "invalid", limits.ANY, lambda f, t: f.vocab_size is None and f.out_of_range > t, _NEGATIVE),
    Alarm(
        "wrapped_16_bit",
        "invalid",
        limits.WRAPPED_16_BIT,
        lambda f, t: f.max_id == t and (f.vocab_size or 0) > t + 1,
        "The largest id is exactly {threshold:,.0f} (threshold: 2^16 - 1) and the vocabulary has {f.vocab_size:,} "
        "entries: wider ids were cut to 16 bits when they were written.",
    ),
    Alarm("top_id", "degenerate", limits.TOP_ID_DEGENERATE, _frequent_id, _TOP),
    Alarm("top_id", "suspect", limits.TOP_ID_SUSPECT, _frequent_id, _TOP),
    Alarm("low_entropy", "degenerate", limits.LOW_ENTROPY_DEGENERATE, _low_entropy, _ENTROPY),
    Alarm("low_entropy", "suspect", limits.LOW_ENTROPY_SUSPECT, _low_entropy, _ENTROPY),
    Alarm("unk", "degenerate", limits.UNK_DEGENERATE, lambda f, t: f.unk_share > t, _UNK),
    Alarm("unk", "suspect", limits.UNK_SUSPECT, lambda f, t: f.unk_share > t, _UNK),
    Alarm(
        "implausible_ids",
        "invalid",
        limits.IMPLAUSIBLE_IDS_INVALID,
        lambda f, t: f.vocab_size is None and f.implausible > t * f.tokens,
        _HUGE,
    ),
    Alarm("implausible_ids", "suspect", limits.ANY, lambda f, t: f.vocab_size is None and f.implausible > t, _HUGE),
    Alarm(
        "wrapped_ids",
        "suspect",
        limits.WRAPPED_NARROW,
        _wrapped,
        "The largest id is {f.max_id:,}, one less than a power of two and below {threshold:.0%} of the vocabulary of "
        "{f.vocab_size:,} entries: ids may have been taken modulo 2^{f.bits}.",
    ),
    Alarm(
        "narrow_type",
        "suspect",
        limits.NARROW_TYPE,
        lambda f, t: f.unreachable > t and f.max_id != f.id_limit,
        "The stored type of the ids ends at {f.id_limit:,}, so {f.unreachable:.0%} (threshold {threshold:.0%}) of the "
        "vocabulary of {f.vocab_size:,} entries cannot occur: larger ids, if there were any, were cut when written.",
    ),
    Alarm(
        "not_text",
        "suspect",
        limits.ROUND_TRIP,
        lambda f, t: f.round_trip.verdict == "not_text",
        "Only {f.round_trip.share:.1%} of {f.round_trip.ids:,} sampled ids come back when their text is encoded again "
        "(threshold {threshold:.0%}): they are no text of this tokenizer.{f.fits}",
    ),
    Alarm(
        "order_lost",
        "suspect",
        limits.ORDER_LOST,
        lambda f, t: f.order_lost,
        "The id before predicts the next one no better than in a shuffled copy ({f.bigram_nats:.3f} nats, "
        "{f.unigram_nats:.3f} without it; threshold {threshold} nats): the order of the ids is lost.",
    ),
    Alarm(
        "uniform_ids",
        "suspect",
        limits.UNIFORM,
        _uniform,
        "The {f.distinct:,} ids are about equally frequent ({f.entropy_bits:.2f} bits, more than {threshold:.0%} of "
        "what is possible): no text is, random numbers and encrypted or compressed bytes are.",
    ),
    Alarm(
        "no_separator",
        "suspect",
        limits.NO_SEPARATOR,
        lambda f, t: f.separators.needed and f.tokens >= t and not any(count for _, count in f.separators.counts),
        "No id that ends documents ({f.separators}) occurs in {f.tokens:,} tokens (threshold: one in "
        "{threshold:,.0f}). A model trained on this does not learn where a text ends.",
    ),
    Alarm("foreign_separator", "suspect", limits.ANY, _foreign_separator, _FOREIGN),
    Alarm(
        "short_documents",
        "suspect",
        limits.SHORT_DOCUMENTS,
        lambda f, t: f.documents > 1 and f.median_document < t,
        "Half of the {f.documents:,} documents have {f.median_document:,} tokens or fewer (threshold {threshold:.0f}).",
    ),
    Alarm(
        "long_run",
        "suspect",
        limits.LONG_RUN,
        lambda f, t: f.run > t,
        "The id {f.run_id} stands {f.run:,} times in a row (threshold {threshold:,.0f}).",
    ),
    Alarm(
        "fill_at_end",
        "suspect",
        limits.LONG_RUN,
        lambda f, t: f.fill_at_end and f.run > t,
        "From position {f.run_start:,} to its end {f.run_file} holds only the id {f.run_id}: {f.run:,} ids, "
        "{f.run_share:.0%} of all (threshold {threshold:,.0f}). It was made in full size and never filled.",
    ),
    Alarm(
        "double_separator",
        "suspect",
        limits.DOUBLE_SEPARATORS,
        lambda f, t: f.documents > 1 and f.empty_documents > t * f.documents,
        "{f.empty_documents:,} of {f.documents:,} documents are empty (threshold {threshold:.0%}): the separator "
        "stands twice.",
    ),
    Alarm(
        "duplicate_windows",
        "suspect",
        limits.DUPLICATE_PASSAGES,
        lambda f, t: f.duplicates is not None and (f.duplicates.copied or 0.0) > t,
        "{f.duplicates.copied:.0%} of the sampled passages of 256 ids (threshold {threshold:.0%}) have stood before, "
        "and {f.duplicates.share:.0%} of {f.duplicates.windows:,} windows of 32: text stands more than once.",
    ),
    Alarm(
        "identical_files",
        "suspect",
        limits.ANY,
        lambda f, t: f.identical.count > t,
        "{f.identical.count:,} of {f.files:,} files (threshold {threshold:.0f}) hold the same ids as another: "
        "{f.identical}.",
    ),
    Alarm("odd_window", "suspect", limits.ANY, lambda f, t: bool(f.window), "The window to validate on: {f.window}"),
    Alarm(
        "bad_file",
        "suspect",
        limits.ANY,
        lambda f, t: t < f.bad_parts.count < f.files,  # if all are, the whole shard is
        "{f.bad_parts.count:,} of {f.files:,} files (threshold {threshold:.0f}) are degenerate or invalid by "
        "themselves: {f.bad_parts}.",
    ),
    Alarm(
        "odd_file",
        "suspect",
        limits.ANY,
        lambda f, t: f.odd_parts.count > t,
        "{f.odd_parts.count:,} of {f.files:,} files (threshold {threshold:.0f}) hold other text than the rest: "
        "{f.odd_parts}.",
    ),
    Alarm(
        "missing_shard",
        "suspect",
        limits.ANY,
        lambda f, t: f.missing.count > t,
        "{f.missing.count:,} files (threshold {threshold:.0f}) are missing by the numbers of the others or by the "
        "manifest: {f.missing}.",
    ),
    Alarm(
        "raw_json",
        "suspect",
        limits.RAW_JSON,
        lambda f, t: f.round_trip.raw_json > t,
        "{f.round_trip.raw_json:.0%} of the sampled pieces of text (threshold {threshold:.0%}) are JSON objects with "
        "escaped text inside: the lines of a file were tokenized, not the text in them.",
    ),
    Alarm(
        "unknown_header",
        "ok",
        limits.ANY,
        lambda f, t: f.unknown_headers.count > t,
        "{f.unknown_headers.count} kind of header (threshold {threshold:.0f}) is of no known writer, and is read by "
        "the size of the file: {f.unknown_headers}.",
    ),
    Alarm(
        "padding",
        "ok",
        limits.ANY,
        lambda f, t: f.padding > t,
        "{f.padding:,} ids (threshold {threshold:.0f}) are padding by the attention_mask beside them, {f.padded:.0%} "
        "of what is stored. They are in no figure.",
    ),
    Alarm(
        "unusable_file",
        "suspect",
        limits.ANY,
        lambda f, t: f.unusable.count > t,
        "{f.unusable.count:,} of {f.files:,} files (threshold {threshold:.0f}) cannot be used and were left out: "
        "{f.unusable}.",
    ),
)


REMARKS = frozenset(alarm.code for alarm in ALARMS if alarm.status == "ok")


def evaluate_alarms(facts: Facts) -> tuple[ShardStatus, tuple[Reason, ...]]:
    """The worst status of the alarms that fire, and their sentences in table order; ("ok", ()) if none does."""
    fired: dict[str, Alarm] = {}
    for alarm in ALARMS:
        if alarm.code not in fired and alarm.fires(facts, alarm.threshold.value):
            fired[alarm.code] = alarm
    status = max((alarm.status for alarm in fired.values()), key=SEVERITY.index, default=SEVERITY[0])
    reasons = (Reason(a.code, Percents().format(a.says, f=facts, threshold=a.threshold.value)) for a in fired.values())
    return status, tuple(reasons)
