"""The validation window as a trainer reads it, and what a model that knows only the unigram gets on it.

A trainer validates on the first sequences of seq_len + 1 ids: one after the other in file order, without overlap, and
none across two files. The unigram baseline comes from all other ids of the dataset.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from diag.case import Window
from diag.errors import InputError
from diag.progress import Progress, silent
from diag.shards.counting.counts import IdCounts, count_ids
from diag.shards.counting.summary import Plan, summarise
from diag.shards.reader import MAX_VOCAB, TokenDataset

BaselineSource = Literal["rest of the shard", "the window itself"]


@dataclass(frozen=True, eq=False)
class WindowTokens:
    """The ids of a window: int64 [sequences, seq_len + 1], read-only. sequences ≤ batches × batch_size of `window`.

    A row's first seq_len ids are the input, its last seq_len the targets. notes: what is not as asked.
    """

    window: Window
    ids: npt.NDArray[np.int64] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def sequences(self) -> int:
        """Rows."""
        return len(self.ids)

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """int64 [sequences, seq_len]: what a model is asked to predict."""
        return self.ids[:, 1:]

    @property
    def tokens(self) -> int:
        """Predictions, the n of every loss on this window: sequences × seq_len."""
        return self.targets.size

    @cached_property
    def digest(self) -> str:
        """sha256 of the ids as u32, little-endian, row by row; losses compare only where this is equal."""
        return hashlib.sha256(self.ids.astype("<u4").tobytes()).hexdigest()


@dataclass(frozen=True)
class Baseline:
    """Losses of predictors without context on the window's targets, in nats per token.

    nats: the unigram, add-½ smoothed. top_id_nats: only the most frequent id and its share are known, the rest is
    uniform. tokens: ids the counts were taken from. source: where they are; note: a warning about that, or "".
    """

    nats: float
    source: BaselineSource
    tokens: int
    top_id_nats: float
    note: str = ""


def read_window(dataset: TokenDataset, window: Window) -> WindowTokens:
    """Consecutive, non-overlapping sequences of seq_len + 1 ids in file order.

    None spans two files: the tail of each is discarded. If fewer are there than asked, these are used and a note
    says so; InputError if there is none. Reads only what it returns.
    """
    length = window.seq_len + 1
    rows: list[npt.NDArray[np.int64]] = []
    missing = window.sequences
    for index, file in enumerate(dataset.shards):
        take = min(missing, file.tokens // length)
        if take:
            ids = dataset.ids(index, 0, take * length)
            if ids.dtype.kind == "u" and ids.dtype.itemsize == 8:  # beyond int64 is as far out of range as its limit
                ids = np.minimum(ids, np.iinfo(np.int64).max)
            rows.append(ids.astype(np.int64).reshape(take, length))
        missing -= take
        if not missing:
            break
    if not rows:
        longest = max(file.tokens for file in dataset.shards)
        raise InputError(
            f"A sequence needs {length:,} ids and the longest file holds {longest:,}.",
            where=str(dataset.path),
            fix="Ask for a smaller seq-len.",
        )
    all_ids = np.concatenate(rows)
    all_ids.flags.writeable = False
    notes: tuple[str, ...] = ()
    if missing:
        notes = (
            f"{window.sequences:,} sequences were asked for; the shard holds {len(all_ids):,}, and these are used.",
        )
    return WindowTokens(window, all_ids, notes)


def max_id(window_tokens: WindowTokens) -> int:
    """The largest id of the window, inputs and targets: the embedding must have more rows than this."""
    return int(window_tokens.ids.max())


def unigram_baseline(
    dataset: TokenDataset,
    window_tokens: WindowTokens,
    rows: int,
    *,
    counts: IdCounts | None = None,
    progress: Progress = silent,
) -> Baseline:
    """What the unigram alone, and the most frequent id alone, score on the window's targets.

    Counts come from every file of the shard less the window's ids: p(id) = (c + ½) / (N + ½ rows), over `rows`
    entries; from the window's own ids if nothing else remains. InputError if the window holds an id outside the
    rows; such ids elsewhere are left out. Costs one count of the shard (about 1 G ids a second), unless `counts`
    of the whole shard, with a table of at least `rows`, are given.
    """
    if not 1 <= rows <= MAX_VOCAB:
        raise InputError(f"{rows:,} embedding rows are not plausible.", fix=f"Give 1 to {MAX_VOCAB:,}.")
    low, high = int(window_tokens.ids.min()), max_id(window_tokens)
    if low < 0 or high >= rows:
        raise InputError(
            f"The window holds the id {high if high >= rows else low}, outside the {rows:,} embedding rows.",
            where=str(dataset.path),
            fix="Check the dtype of the shard and its tokenizer.",
        )
    if counts is None or counts.size < rows:
        counts = summarise(dataset, Plan(rows), progress=progress).counts
    own = count_ids(window_tokens.ids, rows)
    rest = counts.counts[:rows] - own
    source: BaselineSource = "rest of the shard" if rest.sum() else "the window itself"
    known = rest if rest.sum() else own
    targets = count_ids(window_tokens.targets, rows)
    tokens = int(known.sum())
    return Baseline(_unigram(known, targets), source, tokens, _top_id(known, targets), _note(source, tokens, rows))


def _unigram(known: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> float:
    log_p = np.log(known + 0.5) - math.log(known.sum() + 0.5 * len(known))
    return float(-(targets * log_p).sum() / targets.sum())


def _top_id(known: npt.NDArray[np.int64], targets: npt.NDArray[np.int64]) -> float:
    rows, total, top = len(known), int(known.sum()), int(known.argmax())
    if rows == 1:
        return 0.0
    hits, n = int(targets[top]), int(targets.sum())
    share = int(known[top]) / total
    if share == 1.0:  # nothing else was seen: add-½ over the two outcomes "it" and "another"
        share = (total + 0.5) / (total + 1.0)
    return -(hits * math.log(share) + (n - hits) * math.log((1.0 - share) / (rows - 1))) / n


def _note(source: BaselineSource, tokens: int, rows: int) -> str:
    if source == "the window itself":
        return "The shard holds nothing but the window, so its unigram counts are its own: too low, not held out."
    if tokens < rows:
        return f"The unigram comes from only {tokens:,} ids over {rows:,} rows: smoothing makes the baseline too high."
    return ""
