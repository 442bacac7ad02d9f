"""A folder file by file: each summary kept, shown as it comes, and held against the others."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from diag.errors import InputError, one_line
from diag.progress import Progress, silent
from diag.shards.audit.alarms import ShardStatus
from diag.shards.counting.part_files import PartFiles
from diag.shards.counting.store import Store, key_of
from diag.shards.counting.summary import Plan, ShardSummary, report_ids, summarise_file
from diag.shards.figures.by_file import IdsByFile, ShareTally
from diag.shards.figures.drift import from_the_rest, odd_ones
from diag.shards.figures.statistics import entropy
from diag.shards.reader import BadFile, TokenDataset
from diag.units import bits


@dataclass(frozen=True)
class Part:
    """One file of a folder. js_bits: Jensen-Shannon divergence from the other files beyond what sampling explains,
    None if it is too small to tell; differs: whether that makes it an odd one. same_as: an earlier file with the same
    ids. cached: nothing had to be read, here or for the parts that are merged."""

    name: str
    tokens: int
    distinct: int
    max_id: int
    entropy_bits: float
    top_id: int | None
    top_share: float
    status: ShardStatus
    codes: tuple[str, ...]
    cached: bool
    js_bits: float | None = None
    differs: bool = False
    same_as: str | None = None


StatusOf = Callable[[ShardSummary], tuple[ShardStatus, tuple[str, ...]]]
"""A summary's status, and the codes of its alarms."""


@dataclass(frozen=True, eq=False)
class Parts:
    """A shard counted: the summary of all files, one row a file in order, the files that turned out bad, and the ids
    that vary most between files (None for a single file)."""

    total: ShardSummary
    rows: tuple[Part, ...]
    bad_files: tuple[BadFile, ...]
    by_file: IdsByFile | None = None


def count_parts(
    dataset: TokenDataset,
    plan: Plan,
    status_of: StatusOf,
    *,
    first: int | None = None,
    cache: Path | PartFiles | None = None,
    progress: Progress = silent,
    on_part: Callable[[Part], Any] | None = None,
) -> Parts:
    """Count every file of a shard, or its first `first` ids.

    Files that `cache` (a folder, or all parts of a count) knows are not read again; without one, summaries stay in a
    temporary folder until this returns. A single file is not cached. A file found damaged on the way is listed in
    bad_files and the others are counted; InputError if none is left. Costs one pass over the files, and the memory of
    two summaries.
    """
    end = dataset.tokens if first is None else min(first, dataset.tokens)
    if len(dataset.shards) == 1 and not isinstance(cache, PartFiles):
        total = summarise_file(dataset, 0, plan, first=first, progress=progress)
        return Parts(total, (_row(dataset, 0, total, status_of, cached=False),), ())
    total, rows, bad, keys = ShardSummary.empty(plan), [], [], []
    seen: dict[str, str] = {}
    done = 0
    with _store(cache) as store:
        for index, file in enumerate(dataset.shards):
            take = min(file.tokens, end - done)
            if done >= end or take == 0:
                continue
            key = key_of(dataset, index, plan, take)
            summary = _here(store.get(key, plan), index)
            known = summary is not None
            try:
                summary = summary or summarise_file(
                    dataset, index, plan, first=take, progress=progress, before=done, total=end
                )
            except InputError as error:
                bad.append(BadFile(file.path, error.what))
                end -= take
                continue
            if not known:
                store.put(key, summary)
            done += take
            report_ids(progress, done, end)
            total += summary
            keys.append(key)
            row = _row(dataset, index, summary, status_of, cached=known and not isinstance(cache, PartFiles))
            rows.append(replace(row, same_as=seen.get(content := summary.content)))
            seen.setdefault(content, row.name)
            if on_part:
                on_part(rows[-1])
        if not rows:
            raise InputError(
                f"None of the {len(bad)} token files can be read; the first says: {bad[0].error}",
                where=str(dataset.path),
                fix="Copy the shard again.",
            )
        rows, by_file = _compared(rows, keys, store, total, plan)
    return Parts(total, tuple(rows), tuple(bad), by_file)


@contextmanager
def _store(cache: Path | PartFiles | None) -> Iterator[Store]:
    if cache is not None:
        store = cache if isinstance(cache, PartFiles) else Store(cache)
        yield store
        store.prune()
        return
    with tempfile.TemporaryDirectory(prefix="subrandom-") as folder:
        yield Store(Path(folder))


def _here(summary: ShardSummary | None, index: int) -> ShardSummary | None:
    """A kept summary does not know which number its file has now."""
    if summary is None:
        return None
    run = replace(summary.run, file=index) if summary.run else None
    return replace(summary, run=run, anchors=summary.anchors.of_file(index))


def _compared(
    rows: list[Part], keys: list[str], store: Store, total: ShardSummary, plan: Plan
) -> tuple[list[Part], IdsByFile | None]:
    if len(rows) < 2:
        return rows, None
    far: list[float | None] = []
    tally = ShareTally(total.counts)
    for row, key in zip(rows, keys, strict=True):  # one at a time: a thousand of them fill a memory
        summary = store.get(key, plan)
        far.append(from_the_rest(summary.counts, total.counts) if summary else None)
        if summary:
            tally.add(row.name, summary.counts)
    rows = [replace(row, js_bits=value, differs=odd) for row, value, odd in zip(rows, far, odd_ones(far), strict=True)]
    return rows, tally.found(frozenset(row.name for row in rows if row.differs or row.status != "ok"))


def _row(dataset: TokenDataset, index: int, summary: ShardSummary, status_of: StatusOf, *, cached: bool) -> Part:
    counts = summary.counts
    ids, frequencies = counts.present()
    status, codes = status_of(summary)
    return Part(
        name=one_line(dataset.shards[index].path.name, 200),
        tokens=counts.tokens,
        distinct=len(ids),
        max_id=counts.max_id,
        entropy_bits=bits(entropy(frequencies).plug_in),
        top_id=int(ids[0]) if len(ids) else None,
        top_share=float(frequencies[0] / counts.tokens) if len(ids) else 0.0,
        status=status,
        codes=codes,
        cached=cached,
    )
