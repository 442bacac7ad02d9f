"""Two shards side by side: the table that ends an argument about a re-encoded corpus, and the ids that moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from diag.errors import one_line
from diag.results.thresholds_shards import SHARED_PASSAGES
from diag.shards.audit.alarms import SEVERITY, Reason
from diag.shards.audit.assess import Audit, TopToken
from diag.shards.audit.report import ShardAudit
from diag.shards.figures.drift import Drift, Moved, drift
from diag.shards.figures.duplicates import Overlap, overlap
from diag.shards.text import TokenText, texts_of, visible
from diag.units import percent

_TOP = 5


@dataclass(frozen=True)
class Row:
    """A metric of both shards, in words with units: what a report quotes."""

    metric: str
    here: str
    there: str


@dataclass(frozen=True)
class Comparison:
    """rows: whole shard against whole shard; window_rows: the windows of a trainer, empty if either has none. overlap:
    how much of each stands in the other, None where too few windows were sampled."""

    here: str
    there: str
    rows: tuple[Row, ...]
    window_rows: tuple[Row, ...]
    drift: Drift
    overlap: Overlap | None


def compare_shards(here: ShardAudit, there: ShardAudit, text: TokenText | None = None) -> Comparison:
    """Compare two audits of the same vocabulary. Costs milliseconds: the counts are there."""
    moved = drift(here.counts, there.counts)
    with_text = replace(moved, gains=_named(moved.gains, text), losses=_named(moved.losses, text))
    windows = side_by_side(here.window, there.window) if here.window and there.window else ()
    more = (
        Row("Format", _format(here), _format(there)),
        Row("Documents", _documents(here), _documents(there)),
        Row("Ids that never occur", _dead(here), _dead(there)),
    )
    return Comparison(
        here.path, there.path, (*side_by_side(here, there), *more), windows, with_text, overlap_of(here, there)
    )


def overlap_of(here: ShardAudit, there: ShardAudit) -> Overlap | None:
    """How much of each shard stands in the other."""
    return overlap(here.anchors, there.anchors, here.names, there.names)


def with_overlap(here: ShardAudit, there: ShardAudit, found: Overlap | None) -> ShardAudit:
    """The audit with the alarm `overlap`, where one of the two shards holds much of the other: a train set its
    validation. It goes by passages, since a window of 32 ids may be a phrase. found: what `overlap_of` says."""
    if found is None or (found.copied or 0.0) <= SHARED_PASSAGES.value:
        return here
    there_too, back, copied = (
        percent(x or 0.0, 0) for x in (found.of_this_in_other, found.of_other_in_this, found.copied)
    )
    reason = Reason(
        "overlap",
        f"{there_too} of this shard's sampled windows of 32 ids stand in {one_line(there.path, 200)}, and {back} of "
        f"that one's here; of passages of 256 ids {copied} (threshold {percent(SHARED_PASSAGES.value, 0)}).",
    )
    status = max(here.status, "suspect", key=SEVERITY.index)
    return replace(here, status=status, reasons=(*here.reasons, reason))


def side_by_side(here: Audit, there: Audit) -> tuple[Row, ...]:
    """The metrics that any two audits share: two shards, two windows, or a window and its shard."""
    metrics: dict[str, Callable[[Audit], str]] = {
        "Verdict": lambda a: a.status,
        "Tokens": lambda a: f"{a.tokens:,}",
        "Distinct tokens": lambda a: f"{a.distinct:,}",
        "Shannon entropy": lambda a: f"{a.entropy_bits:.3f} bits = {a.entropy_nats:.3f} nats",
        "Unk ratio": lambda a: "unknown" if a.unk_ratio is None else f"{a.unk_ratio:.2%}",
        "Top tokens": lambda a: ", ".join(_top(t) for t in a.top[:_TOP]),
        "Largest id": lambda a: f"{a.max_id:,}",
        "Out of range": lambda a: f"{a.out_of_range:,} ids",
        "Longest run of one id": lambda a: f"{a.longest_run.length:,} × id {a.longest_run.id}" if a.longest_run else "",
        "Bytes per token": lambda a: "unknown" if a.bytes_per_token is None else f"{a.bytes_per_token:.3f}",
    }
    return tuple(Row(name, say(here), say(there)) for name, say in metrics.items())


def _top(token: TopToken) -> str:
    return f"{token.id} ({visible(token.text)})" if token.text is not None else str(token.id)


def _format(audit: ShardAudit) -> str:
    return f"{audit.format}, {audit.dtype}, {audit.files} file{'s' if audit.files != 1 else ''}"


def _documents(audit: ShardAudit) -> str:
    lengths = audit.documents
    return "unknown" if lengths is None else f"{lengths.documents:,}, median {lengths.median:,} tokens"


def _dead(audit: ShardAudit) -> str:
    return "unknown" if audit.dead is None else f"{audit.dead.ids:,} of {audit.vocab_size:,}"


def _named(moved: tuple[Moved, ...], text: TokenText | None) -> tuple[Moved, ...]:
    return tuple(replace(m, text=t) for m, t in zip(moved, texts_of(text, (m.id for m in moved)), strict=True))
