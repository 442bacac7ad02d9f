"""Any ids, judged: the figures of a summary and the alarms that they raise. The whole shard, a file and the window of a
trainer go through here alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diag.shards.audit.alarms import Reason, ShardStatus, evaluate_alarms
from diag.shards.audit.context import AuditContext
from diag.shards.audit.facts import Facts, Separators
from diag.shards.counting.counts import IdCounts
from diag.shards.counting.documents import Documents
from diag.shards.counting.summary import LongestRun, ShardSummary
from diag.shards.figures.statistics import entropy, zipf_slope
from diag.shards.text import TokenText, texts_of
from diag.units import bits

MINUS_ONE = (0xFFFF, 0xFFFF_FFFF)  # −1 without a sign, in 16 and in 32 bits
LABEL_MASK = -100  # of labels that a loss leaves out


@dataclass(frozen=True)
class TopToken:
    """One of the most frequent ids. share: fraction of the audited tokens. text: raw, None without a tokenizer."""

    id: int
    count: int
    share: float
    text: str | None


@dataclass(frozen=True)
class DocumentLengths:
    """Tokens per document. by: "the format", or the id that ends documents; separators: how often it occurs.

    Lengths leave the separator out, and a document ends with its file. Quantiles are exact below 4,096 tokens and
    within 1.6 % above.
    """

    by: str
    separator: int | None
    separators: int
    documents: int
    mean: float
    shortest: int
    p10: int
    median: int
    p90: int
    longest: int
    under_8: int


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The figures of some ids. entropy_*: per token; *_corrected: Miller-Madow; see statistics.Entropy for the others.

    unk_ratio: None when no unknown token is known. out_of_range: ids ≥ vocab_size or negative; with an unknown
    vocabulary negative ids only. zipf_slope: None when there are too few distinct ids. bytes_per_token: of UTF-8 text,
    special tokens as none; None without a tokenizer that tells.
    """

    tokens: int
    distinct: int
    max_id: int
    out_of_range: int
    entropy_bits: float
    entropy_nats: float
    entropy_bits_corrected: float
    entropy_nats_corrected: float
    unseen_mass: float
    effective_choices: float
    zipf_slope: float | None
    unk_ratio: float | None
    longest_run: LongestRun | None
    bytes_per_token: float | None
    documents: DocumentLengths | None
    top: tuple[TopToken, ...]
    status: ShardStatus
    reasons: tuple[Reason, ...]


def assess(summary: ShardSummary, context: AuditContext, *, top: int, **more: Any) -> tuple[Audit, Facts]:
    """The audit of what was counted, and the facts it rests on. `more`: facts that a summary does not know."""
    counts = summary.counts
    ids, frequencies = counts.present()
    measured = entropy(frequencies)
    lengths = _documents(summary, context.separators)
    n, size, run, ends = counts.tokens, context.vocab_size, summary.run, context.separators
    facts = Facts(
        tokens=n,
        vocab_size=size,
        vocab_source=context.vocab_source or "",
        out_of_range=counts.negative if size is None else counts.out_of_range(size),
        implausible=counts.outside - counts.negative,
        max_id=counts.max_id,
        top_id=int(ids[0]),
        top_share=int(frequencies[0]) / n,
        entropy_bits=bits(measured.plug_in),
        unk_id=context.unk_id,
        unk_share=counts.of(context.unk_id) / n if context.unk_id is not None else 0.0,
        separators=replace(ends, counts=tuple((id, counts.of(id)) for id, _ in ends.counts)),
        documents=lengths.documents if lengths else 0,
        median_document=lengths.median if lengths else 0,
        run=run.length if run else 0,
        run_id=run.id if run else 0,
        distinct=len(ids),
        empty_documents=_empty(summary, lengths),
        run_start=run.position if run else 0,
        minus_one=sum(counts.of(id) for id in MINUS_ONE if size is not None and id >= size),
        label_masks=counts.of(LABEL_MASK),
        **more,
    )
    status, reasons = evaluate_alarms(facts)
    text = context.text
    return Audit(
        tokens=n,
        distinct=len(ids),
        max_id=counts.max_id,
        out_of_range=facts.out_of_range,
        entropy_bits=bits(measured.plug_in),
        entropy_nats=measured.plug_in,
        entropy_bits_corrected=bits(measured.corrected),
        entropy_nats_corrected=measured.corrected,
        unseen_mass=measured.unseen_mass,
        effective_choices=measured.choices,
        zipf_slope=zipf_slope(frequencies),
        unk_ratio=None if context.unk_id is None else facts.unk_share,
        longest_run=summary.run,
        bytes_per_token=_bytes_per_token(counts, text),
        documents=lengths,
        top=tuple(
            TopToken(int(i), int(c), int(c) / n, shown)
            for i, c, shown in zip(ids[:top], frequencies[:top], texts_of(text, ids[:top]), strict=True)
        ),
        status=status,
        reasons=reasons,
    ), facts


def _empty(summary: ShardSummary, lengths: DocumentLengths | None) -> int:
    """Documents of no token between two separators."""
    return summary.separated[lengths.separator].below(1) if lengths and lengths.separator is not None else 0


def _documents(summary: ShardSummary, ends: Separators) -> DocumentLengths | None:
    """As the format tells them, else as the stated separator cuts them, else as the most frequent of the known ones."""
    if summary.stated is not None:
        return lengths_of(summary.stated, "the format", None, 0)
    found = [(id, summary.counts.of(id)) for id, _ in ends.counts if summary.counts.of(id)]
    if not found:
        return None
    separator, count = next((row for row in found if row[0] == ends.stated), None) or max(found, key=lambda row: row[1])
    return lengths_of(summary.separated[separator], f"id {separator}", separator, count)


def chosen_documents(summary: ShardSummary, lengths: DocumentLengths | None) -> Documents | None:
    """The tally behind `lengths`, for drawing."""
    if lengths is None:
        return None
    return summary.stated if lengths.separator is None else summary.separated[lengths.separator]


def lengths_of(documents: Documents, by: str, separator: int | None, separators: int) -> DocumentLengths:
    """The figures of a tally."""
    return DocumentLengths(
        by=by,
        separator=separator,
        separators=separators,
        documents=documents.documents,
        mean=documents.mean,
        shortest=documents.shortest,
        p10=documents.quantile(0.1),
        median=documents.quantile(0.5),
        p90=documents.quantile(0.9),
        longest=documents.longest,
        under_8=documents.below(8),
    )


def _bytes_per_token(counts: IdCounts, text: TokenText | None) -> float | None:
    lengths = text.byte_lengths() if text else None
    if lengths is None:
        return None
    size = min(len(lengths), counts.size)
    known = int(counts.counts[:size].sum())
    return float(np.dot(counts.counts[:size], lengths[:size].astype(np.int64)) / known) if known else None
