"""The audit of a shard as tables for people. Pure, no Streamlit; values stay raw for downloads."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from diag.errors import one_line
from diag.results.ruler import GateResult
from diag.shards import Audit, BadFile, Part, ShardAudit, Span
from diag.shards.audit.compare import Row
from diag.shards.figures.by_file import IdsByFile
from diag.shards.figures.drift import Moved
from diag.shards.figures.duplicates import Between, Place
from diag.shards.figures.round_trip import RoundTrip
from diag.shards.text import visible
from diag.ui.shell.tables import facts
from diag.units import percent


def shard_numbers(audit: ShardAudit, gate: GateResult | None) -> pd.DataFrame:
    """One number a row, with its unit and how it came about."""
    n = f"n = {audit.tokens:,} tokens"
    unk = "no unknown token is known" if audit.unk_id is None else f"id {audit.unk_id}, {n}"
    vocabulary = {"given": "rows of the picked checkpoint's embedding"}.get(
        audit.vocab_source or "", audit.vocab_source
    )
    run, dead, lengths = audit.longest_run, audit.dead, audit.documents
    trip, twice, pairs = audit.round_trip, audit.duplicates, audit.bigram
    where = f"id {run.id}, file {run.file + 1}, from position {run.position:,} of it" if run else ""
    ended = f"ended by {lengths.by}" if lengths else "not known: no id that ends documents occurs"
    stored = f"format {audit.format}, ids stored as {audit.dtype}, {audit.byte_order}-endian"
    rows: list[tuple[str, object, str, str]] = [
        ("tokens", audit.tokens, "tokens", "counted in the files, every one; headers are not believed"),
        ("files", audit.files, "files", stored),
        ("reading", audit.sniff.confidence, "", " ".join(audit.sniff.reasons)),
        ("distinct ids", audit.distinct, "ids", n),
        ("largest id", audit.max_id, "id", n),
        ("vocabulary", audit.vocab_size, "entries", vocabulary or "not known: pick a checkpoint"),
        ("ids out of range", audit.out_of_range, "tokens", "negative, or at least the vocabulary"),
        ("ids that never occur", dead.ids if dead else None, "ids", _dead_ranges(audit)),
        ("entropy", audit.entropy_nats, "nats per token", f"plug-in estimate, {n}"),
        ("entropy", audit.entropy_bits, "bits per token", f"plug-in estimate, {n}"),
        ("entropy, corrected", audit.entropy_nats_corrected, "nats per token",
         "Miller-Madow: adds (distinct − 1) / 2n nats"),
        ("entropy, corrected", audit.entropy_bits_corrected, "bits per token", "the same in bits"),
        ("unseen mass", audit.unseen_mass, "of the next tokens", "Good-Turing: ids met once / n"),
        ("effective choices", audit.effective_choices, "ids", "exp of the entropy in nats"),
        ("Zipf slope", audit.zipf_slope, "log count / log rank", "fitted from rank 10 on; about −1 for text"),
        ("share of the unknown token", audit.unk_ratio, "of all tokens", unk),
        ("longest run of one id", run.length if run else None, "tokens", where),
        ("documents", lengths.documents if lengths else None, "documents", ended),
        ("median document", lengths.median if lengths else None, "tokens", "separators left out"),
        ("round trip", trip.share, "of the sampled ids", f"n = {trip.ids:,} ids; {_judged(trip)}"),
        ("windows that stood before", twice.share if twice else None, "of the sampled windows",
         f"± {twice.error:.4f}, n = {twice.windows:,} windows of 32 ids" if twice else "too few windows"),
        ("passages that stood before", twice.copied if twice else None, "of the sampled passages",
         "of 256 ids, which a phrase does not fill"),
        ("held-out bigram", pairs.nats if pairs else None, "nats per token",
         f"learnt from {pairs.trained_on:,} ids, n = {pairs.scored:,}" if pairs else "too few ids"),
        ("order lost", pairs.order_lost if pairs else None, "", "whether a shuffled copy is predicted as well"),
        ("text per token", audit.bytes_per_token, "bytes (UTF-8)", "special tokens count as none"),
        ("gate", gate.word if gate else None, f"loss below {gate.below:g} nats" if gate else "",
         "VOID when the unigram alone passes it" if gate else "no gate was given"),
        ("time", audit.seconds, "seconds", "for counting and judging"),
    ]  # fmt: skip
    return facts(*rows)


def _judged(trip: RoundTrip) -> str:
    """The verdict in words, with what makes it."""
    word = {"text": "text of this tokenizer", "not_text": "no text of this tokenizer", "not_judged": "not judged"}
    fits = f"; what gives text is {trip.fits}" if trip.fits else ""
    other = f"; in another order {percent(trip.other_order)}" if trip.other_order is not None else ""
    return " ".join(f"{word[trip.verdict]}{fits}{other}. {trip.why}".split())


def _dead_ranges(audit: ShardAudit) -> str:
    if audit.dead is None:
        return "not known without a vocabulary"
    longest = [f"{r.start:,} to {r.stop - 1:,}" for r in audit.dead.ranges[:3]]
    return f"of {audit.vocab_size:,}; longest ranges: {', '.join(longest)}" if longest else "every id occurs"


def top_ids(audit: Audit) -> pd.DataFrame:
    """The most frequent ids: rank, id, text (None without a tokenizer), count, share in percent."""
    top = [(rank, t.id, visible(t.text), t.count, 100 * t.share) for rank, t in enumerate(audit.top, start=1)]
    return pd.DataFrame(top, columns=["rank", "id", "text", "count", "share_percent"])


def vocabulary(audit: ShardAudit, entries: int | None, with_added: int | None, rows: int | None) -> pd.DataFrame:
    """The three sizes that are taken for one another, ln of each (what a uniform guess over it scores), and how many
    tokens of the shard lie beyond it."""
    beyond = {size.entries: size.out_of_range for size in audit.vocabularies}
    sizes = [
        ("tokenizer", entries, "entries without added tokens"),
        ("tokenizer with added tokens", with_added, "largest id + 1"),
        ("embedding rows of the checkpoint", rows, "rows of the matrix in the file; chance is ln of this"),
    ]
    return pd.DataFrame(
        [
            (
                what,
                size,
                math.log(size) if size else None,
                math.log2(size) if size else None,
                beyond.get(size or -1),
                how,
            )
            for what, size, how in sizes
        ],
        columns=["what", "size", "ln_nats", "log2_bits", "beyond", "how"],
    )


def parts(rows: Sequence[Part], bad: Sequence[BadFile] = ()) -> pd.DataFrame:
    """One row a file of a folder, in reading order; those that cannot be used last, with the reason."""
    columns = [
        "file", "status", "tokens", "distinct", "entropy_bits", "top_id", "top_share_percent", "max_id", "js_bits",
        "why",
    ]  # fmt: skip
    found: list[tuple[object, ...]] = [
        (p.name, p.status, p.tokens, p.distinct, p.entropy_bits, p.top_id, 100 * p.top_share, p.max_id, p.js_bits,
         ", ".join([*(code.replace("_", " ") for code in p.codes), *(["differs from the rest"] if p.differs else [])]))
        for p in rows
    ]  # fmt: skip
    found += [(one_line(b.path.name, 200), "unusable", 0, 0, None, None, None, None, None, b.error) for b in bad]
    return pd.DataFrame(found, columns=columns)


def places(found: Sequence[Place]) -> pd.DataFrame:
    """Where one text stands twice; positions count from the start of each file."""
    return pd.DataFrame(
        [(p.file, p.position, p.other_file, p.other_position) for p in found],
        columns=["file", "position", "other_file", "other_position"],
    )


def between(found: Sequence[Between]) -> pd.DataFrame:
    """Pairs of files and the share of the first one's sampled windows that stand in the second."""
    return pd.DataFrame([(b.a, b.b, 100 * b.share) for b in found], columns=["file", "other_file", "share_percent"])


def by_file(found: IdsByFile, texts: Sequence[str | None]) -> pd.DataFrame:
    """One row an id: its text, its share of all tokens, and of each file's, in percent."""
    rows = [
        (id, visible(text), 100 * whole, *(100 * shares).tolist())
        for id, text, whole, shares in zip(found.ids, texts, found.whole.tolist(), found.shares, strict=True)
    ]
    return pd.DataFrame(rows, columns=["id", "text", "all files, %", *distinct(found.files)])


def distinct(names: Sequence[str]) -> list[str]:
    """Names that several columns have, told apart by number."""
    return [name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names, start=1)]


def side_by_side(rows: Sequence[Row], here: str, there: str) -> pd.DataFrame:
    """Two audits, a metric a row, in words with units. Equal names are told apart."""
    names = (here, there) if here != there else (here, f"{there} (2)")
    return pd.DataFrame([(r.metric, r.here, r.there) for r in rows], columns=["", *names])


def moved(ids: Sequence[Moved]) -> pd.DataFrame:
    """Ids whose share changed, in percent of all tokens and in percentage points."""
    return pd.DataFrame(
        [(m.id, visible(m.text), 100 * m.share, 100 * m.other_share, 100 * m.change) for m in ids],
        columns=["id", "text", "share_percent", "other_percent", "change_points"],
    )


def span(found: Span) -> pd.DataFrame:
    """One token a row."""
    return pd.DataFrame(
        [(t.position, t.id, visible(t.text), t.special, t.ends_document) for t in found.items],
        columns=["position", "id", "text", "special", "ends_document"],
    )
