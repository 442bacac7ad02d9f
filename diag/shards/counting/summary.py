"""Map and merge: one file becomes a small summary, and summaries add up to the summary of all.

The sum is associative and commutative, bit for bit, because it holds whole numbers only: an engine such as Ray can run
`summarise_file` over a cluster in any order. Every figure of the audit is computed from the sum (statistics.py).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from diag.progress import Progress, silent
from diag.shards.counting.anchors import Anchors, anchors_of, joined, level_for
from diag.shards.counting.counts import IdCounts
from diag.shards.counting.documents import NO_DOCUMENTS, Documents
from diag.shards.counting.scan import Tables, each
from diag.shards.counting.stretches import Cuts, Runs
from diag.shards.reader import PIECE_IDS, Ids, Piece, TokenDataset

MAX_SEPARATORS = 4  # each costs another look at the ids of the pieces that hold it


@dataclass(frozen=True)
class Plan:
    """What to look for. Summaries add up only if made with the same plan.

    size: entries in the table of counts; ids from there on are kept one by one. separators: ids that may end documents,
    at most MAX_SEPARATORS.
    """

    size: int
    separators: tuple[int, ...] = ()


@dataclass(frozen=True)
class LongestRun:
    """The most often an id is repeated without a break, where it starts: file number, and position in that file."""

    length: int
    id: int
    file: int
    position: int

    def rank(self) -> tuple[int, int, int]:
        """What decides: the longer run, then the earlier."""
        return (-self.length, self.file, self.position)


@dataclass(frozen=True, eq=False)
class ShardSummary:
    """Any number of files, in about 8 bytes per table entry.

    stated: documents as the format itself tells them, None where it does not. separated: for each separator of the
    plan, documents as that id cuts them; documents do not span files. anchors: a sample of windows, to find text that
    stands twice.
    """

    counts: IdCounts
    run: LongestRun | None = None
    stated: Documents | None = None
    separated: dict[int, Documents] = field(default_factory=dict)
    anchors: Anchors = field(default_factory=Anchors.empty)

    @classmethod
    def empty(cls, plan: Plan) -> ShardSummary:
        """The summary of no file: the neutral element of the sum."""
        return cls(IdCounts.empty(plan.size), separated=dict.fromkeys(plan.separators, NO_DOCUMENTS))

    def __add__(self, other: ShardSummary) -> ShardSummary:
        runs = [run for run in (self.run, other.run) if run]
        stated = [documents for documents in (self.stated, other.stated) if documents is not None]
        return ShardSummary(
            self.counts + other.counts,
            min(runs, key=LongestRun.rank, default=None),
            sum(stated[1:], stated[0]) if stated else None,
            {key: documents + other.separated[key] for key, documents in self.separated.items()},
            self.anchors + other.anchors,
        )

    @property
    def content(self) -> str:
        """Hexadecimal digits that are equal for two files of the same ids, and hardly ever for others: of the counts,
        and of what stands where in the sample."""
        digest = hashlib.sha256(self.counts.counts[: self.counts.used].tobytes())
        for part in (self.anchors.digests, self.anchors.positions, self.counts.stray_ids, self.counts.stray_counts):
            digest.update(part.tobytes())
        return digest.hexdigest()


def summarise_file(
    dataset: TokenDataset,
    index: int,
    plan: Plan,
    *,
    first: int | None = None,
    progress: Progress = silent,
    before: int = 0,
    total: int | None = None,
) -> ShardSummary:
    """The map step: file `index` of the dataset, or its first `first` ids.

    progress is told the ids counted of `total` (by default those of this file), `before` of which lie in other files.
    Costs one pass over the file on two threads and a few pieces of memory; see benchmarks/README.md. Raises InputError
    for a damaged file, and what `progress` raises.
    """
    file = dataset.shards[index]
    stop = file.tokens if first is None else min(first, file.tokens)
    stated = None
    lengths = file.source.document_lengths()
    if lengths is not None:
        stated = sum((Documents.of(part) for part in _within(lengths, stop)), NO_DOCUMENTS)
    whole = stop if total is None else total
    told = partial(_told, progress, before, whole)
    summary = _summarise(file.source.pieces(stop), plan, index, level_for(stop), told)
    return replace(summary, stated=stated)


def summarise_ids(ids: Ids, plan: Plan) -> ShardSummary:
    """Ids in memory, any shape, as if they were one file."""
    flat = ids.reshape(-1)
    pieces = (partial(flat.__getitem__, slice(at, at + PIECE_IDS)) for at in range(0, len(flat), PIECE_IDS))
    return _summarise(pieces, plan, 0, level_for(len(flat)), lambda done: None)


def summarise(
    dataset: TokenDataset, plan: Plan, *, first: int | None = None, progress: Progress = silent
) -> ShardSummary:
    """All files of a shard, one after the other, without a cache (see parts.py for folders that come back)."""
    total = ShardSummary.empty(plan)
    done, end = 0, dataset.tokens if first is None else min(first, dataset.tokens)
    for index, file in enumerate(dataset.shards):
        if done < end:
            total += summarise_file(dataset, index, plan, first=end - done, progress=progress, before=done, total=end)
            done += min(file.tokens, end - done)
    return total


def report_ids(progress: Progress, done: int, total: int) -> None:
    """`done` of `total` ids are counted."""
    progress(done / max(1, total), f"{done:,} of {total:,} ids")


def _told(progress: Progress, before: int, whole: int, done: int) -> None:
    report_ids(progress, before + done, whole)


def _summarise(
    pieces: Iterable[Piece], plan: Plan, file: int, level: int, counted: Callable[[int], None]
) -> ShardSummary:
    local = threading.local()
    tables: list[Tables] = []

    def count(piece: Piece) -> tuple[Runs, tuple[Cuts, ...], Anchors]:
        if not hasattr(local, "table"):
            local.table = Tables(plan.size)
            tables.append(local.table)
        table: Tables = local.table
        ids = piece()
        return *table.add(ids, plan.separators), anchors_of(ids, level)

    runs: Runs | None = None
    cuts: tuple[Cuts, ...] = ()
    samples: list[Anchors] = []
    done = 0
    for more, more_cuts, sample in each(pieces, count):
        samples.append(sample.moved(done))
        runs = runs.then(more) if runs else more
        cuts = tuple(a.then(b) for a, b in zip(cuts, more_cuts, strict=True)) if cuts else more_cuts
        done += more.tokens
        counted(done)
    done_tables = [table.done() for table in tables]
    counts = sum(done_tables[1:], done_tables[0]) if tables else IdCounts.empty(plan.size)
    documents = [cut.closed() for cut in cuts] or [NO_DOCUMENTS] * len(plan.separators)
    longest = LongestRun(runs.longest, runs.longest_id, file, runs.start) if runs else None
    cut = dict(zip(plan.separators, documents, strict=True))
    return ShardSummary(counts, longest, None, cut, joined(samples, level).of_file(file))


def _within(lengths: Iterable[Ids], stop: int) -> Iterator[Ids]:
    """Document lengths up to token `stop`: the document that it cuts counts with what lies before it."""
    before = 0
    for part in lengths:
        ends = before + np.cumsum(part)
        kept = int(np.searchsorted(ends, stop))
        yield part[:kept]
        if kept < len(part):
            start = int(ends[kept] - part[kept])
            yield np.array([stop - start], dtype=np.int64) if stop > start else part[:0]
            return
        before = int(ends[-1]) if len(part) else before
