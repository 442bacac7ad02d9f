"""Is the data real? Every id of a shard counted in one pass, its figures, its files, its window, and the alarms."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from diag.case import Window
from diag.errors import InputError, one_line
from diag.progress import Progress, silent
from diag.results import codec
from diag.results.ruler import GateResult, judge_gate
from diag.shards.audit.alarms import ShardStatus, evaluate_alarms
from diag.shards.audit.assess import Audit, assess, chosen_documents
from diag.shards.audit.context import AuditContext
from diag.shards.audit.facts import Names
from diag.shards.audit.notes import notes_on
from diag.shards.audit.parts import Part, count_parts
from diag.shards.counting.anchors import Anchors
from diag.shards.counting.counts import IdCounts
from diag.shards.counting.documents import Documents
from diag.shards.counting.part_files import PartFiles
from diag.shards.counting.summary import Plan, ShardSummary, summarise_ids
from diag.shards.figures.bigram import Bigram, held_out_bigram
from diag.shards.figures.by_file import IdsByFile
from diag.shards.figures.duplicates import Duplicates, duplicates
from diag.shards.figures.round_trip import RoundTrip, round_trip
from diag.shards.figures.statistics import Dead, binned, coverage, dead
from diag.shards.reader import MAX_VOCAB, BadFile, Sniff, TokenDataset
from diag.shards.text import TokenText
from diag.shards.window import read_window


@dataclass(frozen=True)
class Vocabulary:
    """One of the sizes that are taken for one another, and how many ids of the shard lie beyond it."""

    name: str
    entries: int
    out_of_range: int


@dataclass(frozen=True)
class Padding:
    """Ids that fill up rows, by the attention mask beside them, and their share of all that are stored."""

    ids: int
    share: float


@dataclass(frozen=True, kw_only=True)
class ShardAudit(Audit):
    """What the `shard` command prints; docs/shards.md explains the figures.

    `tokens` is what was audited, `shard_tokens` what the shard holds. vocabularies: every size that is known;
    vocab_size is the one that decides. dead: ids below vocab_size that never occur. bigram: held-out, None if not asked
    for or too short. padding: of the whole shard, left out of all figures; None if there is none. window: the audit of
    the ids that a trainer validates on, None if not asked for or not one sequence long. parts: one per file of a
    folder. notes: not alarms, one sentence each. counts, lengths, anchors, names, by_file: for drawing and comparing,
    not part of the JSON.
    """

    path: str
    format: str
    dtype: str
    byte_order: str
    offset: int | None
    sniff: Sniff
    boundaries: str
    files: int
    bad_files: tuple[BadFile, ...]
    shard_tokens: int
    vocab_size: int | None
    vocab_source: str | None
    vocabularies: tuple[Vocabulary, ...]
    unk_id: int | None
    dead: Dead | None
    bigram: Bigram | None
    round_trip: RoundTrip
    duplicates: Duplicates | None
    padding: Padding | None
    window: Audit | None
    gate: GateResult | None
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    seconds: float
    counts: IdCounts = field(repr=False, compare=False)
    lengths: Documents | None = field(repr=False, compare=False)
    anchors: Anchors = field(repr=False, compare=False)
    names: tuple[str, ...] = field(repr=False, compare=False)
    by_file: IdsByFile | None = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The object of `shard --json`."""
        hidden = ("counts", "lengths", "anchors", "names", "by_file")
        shown: dict[str, Any] = codec.plain({name: value for name, value in vars(self).items() if name not in hidden})
        if shown["bigram"]:
            shown["bigram"]["held_out_nats"] = shown["bigram"]["nats"]
        return shown

    @property
    def chance_nats(self) -> float | None:
        """ln of the vocabulary: what a uniform guess scores. None where it is not known."""
        return math.log(self.vocab_size) if self.vocab_size else None

    @property
    def table_size(self) -> int:
        """Entries a model of these ids needs: the vocabulary, else the largest id + 1."""
        return self.vocab_size or max(1, min(self.max_id + 1, MAX_VOCAB))

    def gate_at(self, below: float | None) -> GateResult | None:
        """Another gate, without another count: see gate_of."""
        top_share = self.counts.present()[1][0] / self.tokens
        return gate_of(below, self.entropy_nats, float(top_share), self.vocab_size or self.distinct)

    def rank_frequency(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(rank, count), each float64 [at most 60]: see statistics.binned."""
        return binned(self.counts.present()[1])

    def coverage(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """(ids, share of tokens), each [at most 60]: see statistics.coverage."""
        return coverage(self.counts.present()[1])


def audit_shard(
    dataset: TokenDataset,
    *,
    vocab_size: int | None = None,
    text: TokenText | None = None,
    unk_id: int | None = None,
    first: int | None = None,
    gate_below: float | None = None,
    top: int = 30,
    window: Window | None = None,
    bigram: bool = False,
    cache: Path | PartFiles | None = None,
    progress: Progress = silent,
    on_part: Callable[[Part], Any] | None = None,
    others: Iterable[TokenText] = (),
) -> ShardAudit:
    """Count every id of the dataset (or its first `first`) and judge it.

    The vocabulary is `vocab_size`, else the tokenizer's with added tokens, else the manifest's. gate_below is in
    nats. window and bigram ask for these two. cache is a folder that keeps the summaries of single files (store.py),
    or all parts of a count (part_files.py). on_part is called with each file of a folder when it is done. others:
    tokenizers to try where `text` gives no text; not touched otherwise.
    InputError for an option that makes no sense, and for a dataset of which nothing can be read. Costs one pass, about
    1 G ids a second from the page cache on two cores; the bigram about 1 s, the round trip about 0.1 s.
    """
    started = time.perf_counter()
    _check(vocab_size=vocab_size, unk_id=unk_id, first=first, gate_below=gate_below)
    context = AuditContext.of(dataset, vocab_size=vocab_size, text=text, unk_id=unk_id)
    size, plan = context.vocab_size, context.plan
    if isinstance(cache, PartFiles):
        cache.check(dataset, plan)

    def status_of(summary: ShardSummary) -> tuple[ShardStatus, tuple[str, ...]]:
        audit, _ = assess(summary, context.of_a_part(text=False), top=0)
        return audit.status, tuple(reason.code for reason in audit.reasons)

    counted = count_parts(dataset, plan, status_of, first=first, cache=cache, progress=progress, on_part=on_part)
    several = len(counted.rows) > 1
    bad_files = (*dataset.bad_files, *counted.bad_files)
    counts = counted.total.counts
    window_audit, window_notes = _window(dataset, window, context)
    entries = size or max(1, min(counts.max_id + 1, MAX_VOCAB))
    pairs = held_out_bigram(dataset, entries, first=first) if bigram else None
    trip = round_trip(dataset, text, first=first, others=others)
    names = [one_line(file.path.name, 200) for file in dataset.shards]
    twice = duplicates(counted.total.anchors, names)
    run = counted.total.run
    audit, facts = assess(
        counted.total,
        context,
        top=top,
        order_lost=bool(pairs and pairs.order_lost),
        bigram_nats=pairs.nats if pairs else 0.0,
        unigram_nats=pairs.unigram_nats if pairs else 0.0,
        round_trip=trip,
        duplicates=twice,
        identical=Names(tuple(f"{p.name} = {p.same_as}" for p in counted.rows if p.same_as)),
        fill_at_end=run is not None and run.position + run.length == dataset.shards[run.file].tokens,
        run_file=names[run.file] if run else "",
        files=len(dataset.shards) + len(dataset.bad_files),
        bad_parts=Names(tuple(p.name for p in counted.rows if several and p.status in ("degenerate", "invalid"))),
        odd_parts=Names(tuple(p.name for p in counted.rows if p.differs)),
        unusable=Names(tuple(bad.path.name for bad in bad_files)),
        misread=dataset.sniff.against,
        missing=Names(dataset.missing),
        unknown_headers=Names(dataset.unknown_headers),
        padding=dataset.padding if first is None else 0,
        id_limit=int(np.iinfo(dataset.numpy_dtype).max),
    )
    if window_audit and (own := [r for r in window_audit.reasons if r.code not in {r.code for r in audit.reasons}]):
        status, reasons = evaluate_alarms(replace(facts, window=" ".join(reason.message for reason in own)))
        audit = replace(audit, status=status, reasons=reasons)
    return ShardAudit(
        **vars(audit),
        path=str(dataset.path),
        format=dataset.format,
        dtype=dataset.dtype,
        byte_order=dataset.byte_order,
        offset=dataset.offset,
        sniff=dataset.sniff,
        boundaries=dataset.boundaries,
        files=len(dataset.shards),
        bad_files=bad_files,
        shard_tokens=dataset.tokens,
        vocab_size=size,
        vocab_source=context.vocab_source,
        vocabularies=_vocabularies(dataset, vocab_size, text, counts),
        unk_id=context.unk_id,
        dead=dead(counts.counts[:size]) if size is not None else None,
        bigram=pairs,
        round_trip=trip,
        duplicates=twice,
        padding=_padding(dataset),
        window=window_audit,
        gate=gate_of(gate_below, audit.entropy_nats, facts.top_share, size or audit.distinct),
        parts=counted.rows if several else (),
        notes=(*dataset.notes, *window_notes, *notes_on(dataset, facts, counts)),
        seconds=time.perf_counter() - started,
        counts=counts,
        lengths=chosen_documents(counted.total, audit.documents),
        anchors=counted.total.anchors,
        names=tuple(names),
        by_file=counted.by_file,
    )


def _check(*, vocab_size: int | None, unk_id: int | None, first: int | None, gate_below: float | None) -> None:
    if vocab_size is not None and not 1 <= vocab_size <= MAX_VOCAB:
        raise InputError(f"vocab-size is {vocab_size}.", fix=f"Give a whole number from 1 to {MAX_VOCAB:,}.")
    if unk_id is not None and unk_id < 0:
        raise InputError(f"unk-id is {unk_id}.", fix="Give a whole number from 0 up.")
    if first is not None and first < 1:
        raise InputError(f"first is {first}.", fix="Give a number of tokens from 1 up.")
    if gate_below is not None and not math.isfinite(gate_below):
        raise InputError(f"gate-below is {gate_below}.", fix="Give a number in nats.")


def _vocabularies(
    dataset: TokenDataset, given: int | None, text: TokenText | None, counts: IdCounts
) -> tuple[Vocabulary, ...]:
    sizes = {
        "tokenizer": text.vocab_size if text else None,
        "tokenizer with added tokens": text.vocab_size_with_added if text else None,
        "given (embedding rows)": given,
        "manifest": dataset.vocab_size,
    }
    return tuple(
        Vocabulary(name, entries, counts.out_of_range(min(entries, counts.size)))
        for name, entries in sizes.items()
        if entries is not None
    )


def _padding(dataset: TokenDataset) -> Padding | None:
    return Padding(dataset.padding, dataset.padding / (dataset.padding + dataset.tokens)) if dataset.padding else None


def _window(
    dataset: TokenDataset, window: Window | None, context: AuditContext
) -> tuple[Audit | None, tuple[str, ...]]:
    """An audit of the ids that a trainer validates on. Documents are not looked at: a window may be one of them."""
    if window is None:
        return None, ()
    try:
        tokens = read_window(dataset, window)
    except InputError as error:
        return None, (f"There is no window to audit: {error.what}",)
    summary = summarise_ids(tokens.ids, Plan(context.table_size))
    return assess(summary, context.of_a_part(text=True), top=10)[0], tokens.notes


def gate_of(below: float | None, nats: float, top_share: float, entries: int) -> GateResult | None:
    """The gate "loss < below" against predictors without context: the unigram with `nats`, and "always the most
    frequent id, with its share; the other entries are equally likely". VOID when either passes. No model has been run,
    so a gate that they do not pass is UNKNOWN. None without a gate."""
    constant = 0.0
    if top_share < 1.0:
        rest = 1.0 - top_share
        constant = -(top_share * math.log(top_share) + rest * math.log(rest / max(1, entries - 1)))
    return judge_gate(below, None, (nats, constant))
