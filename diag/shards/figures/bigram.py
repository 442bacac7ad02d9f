"""What the id before predicts: the cross-entropy of a bigram model on ids that it has not seen.

The entropy of the next id given the one before, computed from the pairs it is asked about, is too low by more than
2 nats even with 50 M ids: on independent ids it reports 9.97 bits where 12.66 are true. So one part is learnt from, and
another is scored (counting/bigram_model.py).

Neighbours come from the same document, and pairs of a document predict the rest of it: on 2.7 M ids of source code the
held-out halves give 4.32 nats in stretches of 2,600 ids, and 4.63 in stretches of 167,000. So the stretches are long,
where there are enough ids for 16 of them; with fewer the halves would be of different kinds, and the order of sound
ids seemed to be lost. What the rest of a shard predicts of its window has no such choice: everything is learnt from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np

from diag.errors import InputError
from diag.progress import Progress, silent
from diag.results.thresholds_shards import (
    BORDER_KNOWN_PAIRS,
    BORDER_UNSURE,
    ENOUGH_IDS,
    LEAST_NATS,
    ORDER_LOST,
    ORDER_TRIED,
)
from diag.shards.counting.bigram_model import cross_entropy
from diag.shards.counting.counts import IdCounts, count_ids
from diag.shards.counting.pairs import UInt32
from diag.shards.counting.summary import report_ids
from diag.shards.reader import PIECE_IDS, Ids, TokenDataset
from diag.shards.window import WindowTokens
from diag.units import percent

MOST_IDS = 32 << 20  # 400 MB and about a second; more ids lower the estimate slowly
STRETCH_IDS = 256 << 10  # long against documents, so that few are cut and have a part on each side
LEAST_STRETCHES = 16  # so that both halves are of the same kind
HALF_STRETCH_IDS = 256  # the halves that the border is estimated from hold the same documents
_BLOCK_IDS = 1 << 16  # 256 KB
MIN_PAIRS = 1_000  # with fewer pairs the mean is noise

_Span = tuple[int, int, int]
"""File number, first id, end."""


@dataclass(frozen=True)
class Bigram:
    """Cross-entropy of a bigram model on ids it was not trained on, in nats per token.

    trained_on: ids it learnt from. scored: predictions, the n of `nats`. unigram_nats: the same predictions from the
    unigram alone; never below `nats`. note: what limits it, or "". order_lost: whether the same ids shuffled are
    predicted as well; None where that was not tried, or the ids are too few to tell.
    """

    nats: float
    trained_on: int
    scored: int
    unigram_nats: float
    note: str = ""
    order_lost: bool | None = None


@dataclass(frozen=True)
class Border:
    """From which loss on a model knows no more than the id before. nats: null where the shard is too small to tell.

    half_nats: mean of two bigrams, each learnt from one half of what `Bigram` learnt from. known: share of the scored
    pairs that were learnt. note: why it is not known, or "".
    """

    nats: float | None
    half_nats: float | None = None
    known: float | None = None
    note: str = ""


NO_BORDER = Border(None, note="The bigram's border is unknown: the shard holds nothing to learn it from.")


def held_out_bigram(
    dataset: TokenDataset, size: int, *, first: int | None = None, most: int = MOST_IDS, progress: Progress = silent
) -> Bigram | None:
    """Learn from half of the shard (or of its first `first` ids), score the other half; over `size` entries.

    The ids are cut into stretches of STRETCH_IDS, at least LEAST_STRETCHES, that go to the two halves in turn: long
    ones, because pairs of a document predict the rest of it; alternating, because the two ends of a corpus may be of
    different kinds. Beyond `most` ids, evenly spaced stretches are used. A pair does not span two stretches or files,
    and ids outside 0 to size - 1 are left out with their pairs. None with fewer than MIN_PAIRS pairs in either half.
    What cannot be read is left out too. Costs about 20 ns an id on two threads, and 12 bytes an id; raises what
    `progress` raises.
    """
    spans = [(index, 0, file.tokens) for index, file in enumerate(dataset.shards)]
    total = dataset.tokens if first is None else min(first, dataset.tokens)
    stretches = _stretches(total, most, at_least=LEAST_STRETCHES)
    used = sum(stop - start for start, stop in stretches)
    reader = _IdReader(dataset, size, progress, used)
    train, score = reader.of(_inside(spans, stretches[0::2]), _inside(spans, stretches[1::2]))
    found = cross_entropy(train, score, size)
    if min(found.learnt, found.scored) < MIN_PAIRS:
        return None
    notes = (_sampled(used, total, len(stretches)), *reader.notes())
    return Bigram(
        found.nats,
        found.ids,
        found.scored,
        found.unigram_nats,
        " ".join(note for note in notes if note),
        _order_lost(train, score, size, found.unigram_nats - found.nats),
    )


def _order_lost(train: UInt32, score: UInt32, size: int, gain: float) -> bool | None:
    """Whether ids in a random order are predicted as well, by ORDER_LOST. Text gains so much from its order that it is
    seldom tried; `train` and `score` are shuffled then. None where few of the ids come again, or nearly all are one:
    any order predicts the same."""
    if gain > ORDER_TRIED.value:
        return False
    counts = np.bincount(score[score < size], minlength=1)
    present = counts[counts > 0]
    shares = present / max(1, present.sum())
    if present.sum() < ENOUGH_IDS.value * len(present) or float(-(shares * np.log(shares)).sum()) < LEAST_NATS.value:
        return None
    for ids in (train, score):
        _shuffle(ids)
    shuffled = cross_entropy(train, score, size)
    return gain - (shuffled.unigram_nats - shuffled.nats) <= ORDER_LOST.value


def _shuffle(ids: UInt32) -> None:
    """In place, an order that has nothing to do with theirs: every n-th id makes a block, and a block is mixed in the
    cache of a core. A shuffle of all at once waits for memory, 70 ns an id."""
    blocks = max(1, len(ids) // _BLOCK_IDS) | 1
    order = np.random.default_rng(0).permutation(len(ids) // blocks)
    mixed = ids.copy()
    for number in range(blocks):
        part = np.ascontiguousarray(ids[number::blocks][: len(order)])
        mixed[number * len(order) : (number + 1) * len(order)] = part[order]
    ids[:] = mixed


def bigram_baseline(
    dataset: TokenDataset,
    window_tokens: WindowTokens,
    rows: int,
    *,
    counts: IdCounts | None = None,
    most: int = MOST_IDS,
    progress: Progress = silent,
) -> tuple[Bigram, Border] | None:
    """Learn from the shard without the window's ids, score the window's targets, each given the id before it; over
    `rows` entries. And the border: bigram − (mean of two bigrams learnt from half − bigram).

    The unigram that it is mixed with is that of `unigram_baseline` if the `counts` of the whole shard are given. The
    halves are interleaved in short stretches, so that they differ in the number of ids alone. `scored` is the n of
    every loss on this window if all of its ids have a row; predictions with an id that has none are left out. Beyond
    `most` ids, evenly spaced stretches of the rest are learnt from. None if the rest holds no pair. Costs twice
    held_out_bigram.
    """
    rest = list(_outside(dataset, window_tokens))
    total = sum(stop - start for _, start, stop in rest)
    stretches = _stretches(total, most)
    used = sum(stop - start for start, stop in stretches)
    reader = _IdReader(dataset, rows, progress, used)
    (train,) = reader.of(_inside(rest, stretches))
    breaks = np.full((window_tokens.sequences, 1), rows, dtype=np.uint32)
    score = np.concatenate([_unsigned(window_tokens.ids, rows), breaks], axis=1).reshape(-1)
    unigram = None
    if counts is not None and counts.size >= rows:
        unigram = counts.counts[:rows] - count_ids(window_tokens.ids, rows)
    found = cross_entropy(train, score, rows, unigram)
    if not found.learnt or not found.scored:
        return None
    few = ""
    if found.ids < rows:
        few = f"The bigram comes from only {found.ids:,} ids over {rows:,} rows: smoothing makes the baseline too high."
    notes = " ".join(note for note in (_sampled(used, total, len(stretches)), *reader.notes(), few) if note)
    halves = [cross_entropy(half, score, rows, unigram).nats for half in _halves(train, rows)]
    border = _border(found.nats, sum(halves) / len(halves), found.known)
    return Bigram(found.nats, found.ids, found.scored, found.unigram_nats, notes), border


def _border(nats: float, half_nats: float, known: float) -> Border:
    """The border below a bigram; unknown where more ids would lower the bigram much, or where it knows too few pairs
    for the difference to say so: with next to nothing learnt, half of it does not matter."""
    falls = half_nats - nats
    if falls <= BORDER_UNSURE.value and known >= BORDER_KNOWN_PAIRS.value:
        return Border(nats - max(falls, 0.0), half_nats, known)
    why = f"learnt from half of the ids it is {falls:.2f} nats higher"
    if falls <= BORDER_UNSURE.value:
        why = f"only {percent(known, 0)} of the window's pairs occur in the rest of the shard"
    return Border(None, half_nats, known, f"The bigram's border is unknown: the shard is too small; {why}.")


def _halves(train: UInt32, size: int) -> tuple[UInt32, UInt32]:
    """uint32: the even and the odd stretches of HALF_STRETCH_IDS, each with a `size` after it."""
    count = -(-len(train) // HALF_STRETCH_IDS)
    stretches = np.full((count, HALF_STRETCH_IDS + 1), size, dtype=np.uint32)
    whole = len(train) // HALF_STRETCH_IDS
    stretches[:whole, :-1] = train[: whole * HALF_STRETCH_IDS].reshape(whole, HALF_STRETCH_IDS)
    stretches[whole:, : len(train) % HALF_STRETCH_IDS] = train[whole * HALF_STRETCH_IDS :]
    return stretches[0::2].reshape(-1), stretches[1::2].reshape(-1)


class _IdReader:
    """Ids from files into memory, with progress and a tally of what was left out."""

    def __init__(self, dataset: TokenDataset, size: int, progress: Progress, total: int) -> None:
        self._shard, self._size, self._progress, self._total = dataset, size, progress, total
        self._done = self._outside = self._unreadable = 0

    def of(self, *parts: Iterable[_Span]) -> list[UInt32]:
        """For each part uint32 [ids + spans]: the ids of its spans, those out of range as `size`, and a `size` after
        each span. The parts together are read in one sweep of each file."""
        found, pieces = [], []
        for part in parts:
            spans = list(part)
            ids = np.full(sum(stop - start + 1 for _, start, stop in spans), self._size, dtype=np.uint32)
            at = 0
            for file, start, stop in spans:
                for begin in range(start, stop, PIECE_IDS):
                    end = min(begin + PIECE_IDS, stop)
                    pieces.append((file, begin, end, ids[at + begin - start : at + end - start]))
                at += stop - start + 1
            found.append(ids)
        pieces.sort(key=itemgetter(0, 1))
        for file, inside in groupby(pieces, key=itemgetter(0)):
            self._read(file, [piece[1:] for piece in inside])
        return found

    def _read(self, file: int, pieces: list[tuple[int, int, UInt32]]) -> None:
        found = self._shard.spans(file, [(begin, end) for begin, end, _ in pieces])
        for begin, end, here in pieces:
            try:
                here[:] = _unsigned(next(found), self._size)
                self._outside += int((here == self._size).sum())
            except (InputError, StopIteration):  # damaged from here on: the audit names the file
                self._unreadable += end - begin
            self._done += end - begin
            report_ids(self._progress, self._done, self._total)

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
