"""What the id before predicts: the cross-entropy of a bigram model on ids that it has not seen.

The entropy of the next id given the one before, computed from the pairs it is asked about, is too low by more than
2 nats even with 50 M ids: on independent ids it reports 9.97 bits where 12.66 are true. So one part is learnt from, and
another is scored (pairs.py). Measured on 2.7 M ids of source code over 4,096 entries: 4.74 nats with halves, 4.70 to
4.74 with 16 alternating stretches of 167,000 ids, but 4.36 with 1,024 of 2,600: neighbours come from the same document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from diag.errors import InputError
from diag.progress import Progress, silent
from diag.shards.counting.pairs import UInt32, cross_entropy
from diag.shards.counting.summary import report_ids
from diag.shards.reader import PIECE_IDS, Ids, TokenDataset
from diag.shards.window import WindowTokens

MOST_IDS = 32 << 20  # 400 MB and about a second; more ids lower the estimate slowly
STRETCH_IDS = 256 << 10  # long against documents, so that few are cut and have a part on each side
MIN_PAIRS = 1_000  # with fewer pairs the mean is noise

_Span = tuple[int, int, int]
"""File number, first id, end."""


@dataclass(frozen=True)
class Bigram:
    """Cross-entropy of a bigram model on ids it was not trained on, in nats per token.

    trained_on: ids it learnt from. scored: predictions, the n of `nats`. note: what limits it, or "".
    """

    nats: float
    trained_on: int
    scored: int
    note: str = ""


def held_out_bigram(
    dataset: TokenDataset, size: int, *, first: int | None = None, most: int = MOST_IDS, progress: Progress = silent
) -> Bigram | None:
    """Learn from half of the shard (or of its first `first` ids), score the other half; over `size` entries.

    The ids are cut into stretches of STRETCH_IDS, at least two, that go to the two halves in turn: long ones, because
    pairs of a document predict the rest of it; alternating, because the two ends of a corpus may be of different kinds.
    Beyond `most` ids, evenly spaced stretches are used. A pair does not span two stretches or files, and ids outside 0
    to size - 1 are left out with their pairs. None with fewer than MIN_PAIRS pairs in either half. What cannot be read
    is left out too. Costs about 15 ns an id on two threads, and 12 bytes an id; raises what `progress` raises.
    """
    spans = [(index, 0, file.tokens) for index, file in enumerate(dataset.shards)]
    total = dataset.tokens if first is None else min(first, dataset.tokens)
    stretches = _stretches(total, most, at_least=2)
    used = sum(stop - start for start, stop in stretches)
    reader = _IdReader(dataset, size, progress, used)
    train = reader.of(_inside(spans, stretches[0::2]))
    score = reader.of(_inside(spans, stretches[1::2]))
    found = cross_entropy(train, score, size)
    if min(found.learnt, found.scored) < MIN_PAIRS:
        return None
    notes = (_sampled(used, total, len(stretches)), *reader.notes())
    return Bigram(found.nats, found.ids, found.scored, " ".join(note for note in notes if note))


def bigram_baseline(
    dataset: TokenDataset,
    window_tokens: WindowTokens,
    rows: int,
    *,
    most: int = MOST_IDS,
    progress: Progress = silent,
) -> Bigram | None:
    """Learn from the shard without the window's ids, score the window's targets, each given the id before it; over
    `rows` entries.

    `scored` is the n of every loss on this window if all of its ids have a row; predictions with an id that has none
    are left out. Beyond `most` ids, evenly spaced stretches of the rest are learnt from. None if the rest holds no
    pair. Costs as held_out_bigram.
    """
    rest = list(_outside(dataset, window_tokens))
    total = sum(stop - start for _, start, stop in rest)
    stretches = _stretches(total, most)
    used = sum(stop - start for start, stop in stretches)
    reader = _IdReader(dataset, rows, progress, used)
    train = reader.of(_inside(rest, stretches))
    breaks = np.full((window_tokens.sequences, 1), rows, dtype=np.uint32)
    score = np.concatenate([_unsigned(window_tokens.ids, rows), breaks], axis=1).reshape(-1)
    found = cross_entropy(train, score, rows)
    if not found.learnt or not found.scored:
        return None
    few = ""
    if found.ids < rows:
        few = f"The bigram comes from only {found.ids:,} ids over {rows:,} rows: smoothing makes the baseline too high."
    notes = (_sampled(used, total, len(stretches)), *reader.notes(), few)
    return Bigram(found.nats, found.ids, found.scored, " ".join(note for note in notes if note))


class _IdReader:
    """Ids from files into memory, with progress and a tally of what was left out."""

    def __init__(self, dataset: TokenDataset, size: int, progress: Progress, total: int) -> None:
        self._shard, self._size, self._progress, self._total = dataset, size, progress, total
        self._done = self._outside = self._unreadable = 0

    def of(self, spans: Iterable[_Span]) -> UInt32:
        """uint32 [ids + spans]: the ids of the spans, those out of range as `size`, and a `size` after each span."""
        wanted = list(spans)
        ids = np.full(sum(stop - start + 1 for _, start, stop in wanted), self._size, dtype=np.uint32)
        at = 0
        for file, start, stop in wanted:
            for begin in range(start, stop, PIECE_IDS):
                end = min(begin + PIECE_IDS, stop)
                here = ids[at + begin - start : at + end - start]
                try:
                    here[:] = _unsigned(self._shard.ids(file, begin, end), self._size)
                    self._outside += int((here == self._size).sum())
                except InputError:  # damaged: the audit names the file
                    self._unreadable += end - begin
                self._done += end - begin
                report_ids(self._progress, self._done, self._total)
            at += stop - start + 1
        return ids

    def notes(self) -> tuple[str, ...]:
        """One sentence for each kind of ids left out."""
        outside = f"{self._outside:,} ids outside 0 to {self._size - 1:,} are left out with their pairs."
        unreadable = f"{self._unreadable:,} ids could not be read."
        return (outside if self._outside else "", unreadable if self._unreadable else "")


def _stretches(total: int, most: int, *, at_least: int = 1) -> list[tuple[int, int]]:
    """Where to read in `total` ids: everything, cut evenly, or evenly spaced stretches of at most `most` ids in all."""
    if total <= most:
        count = max(at_least, -(-total // STRETCH_IDS)) if at_least > 1 else 1
        edges = [total * i // count for i in range(count + 1)]
        return list(pairwise(edges))
    count = max(at_least, most // STRETCH_IDS)
    length = most // count
    starts = ((total - length) * i // max(1, count - 1) for i in range(count))
    return [(start, start + length) for start in starts]


def _inside(spans: Iterable[_Span], stretches: Iterable[tuple[int, int]]) -> Iterator[_Span]:
    """Positions counted over all spans, as parts of these."""
    known = list(spans)
    for start, stop in stretches:
        before = 0
        for file, begin, end in known:
            low, high = max(start, before), min(stop, before + end - begin)
            if low < high:
                yield file, begin + low - before, begin + high - before
            before += end - begin


def _outside(dataset: TokenDataset, window_tokens: WindowTokens) -> Iterator[_Span]:
    """What read_window left of each file."""
    missing, length = window_tokens.sequences, window_tokens.window.seq_len + 1
    for index, file in enumerate(dataset.shards):
        taken = min(missing, file.tokens // length)
        missing -= taken
        if taken * length < file.tokens:
            yield index, taken * length, file.tokens


def _unsigned(ids: Ids, size: int) -> UInt32:
    """uint32, same shape: ids outside 0 to size - 1, negative ones included, become `size`."""
    if ids.dtype.kind == "i":
        ids = ids.astype(np.int64, copy=False).view(np.uint64)
    return np.minimum(ids, np.array(size, dtype=np.uint32)).astype(np.uint32, copy=False)


def _sampled(used: int, total: int, stretches: int) -> str:
    if used == total:
        return ""
    return f"The bigram comes from {used:,} of {total:,} ids, in {stretches:,} evenly spaced stretches."
