"""Are these ids text of this tokenizer? Decoded and encoded again, text comes back as it was; anything else does not.

Measured in docs/shards.md: text of ten tokenizers (byte-level BPE, SentencePiece BPE and unigram, WordPiece; code,
prose, Chinese) came back whole, 1.000 in each of 190 samples; ids shifted, shuffled, permuted, replaced or made by
another tokenizer to 0.6 to 0.99, with unigram and WordPiece tokenizers up to 1.000. So what a sample would score in
another order is measured beside it, and where that comes back too, a high share proves nothing. A tokenizer that drops
merges at random (BPE dropout) does not come back either, and is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from diag.errors import one_line
from diag.results.thresholds_shards import ROUND_TRIP, ROUND_TRIP_BLIND, ROUND_TRIP_MIN_IDS
from diag.shards.counting.counts import Int64
from diag.shards.reader import TokenDataset
from diag.shards.text import TokenText
from diag.units import percent

Verdict = Literal["text", "not_text", "not_judged"]
WINDOWS, WINDOW_IDS = 24, 256
SHIFTS = (1, -1, 2, -2, 3, -3)


@dataclass(frozen=True)
class RoundTrip:
    """share: of `ids` sampled ids that come back; None where nothing was judged. other_order: the larger share of the
    same ids shuffled, and under other names. fits: what gives text, in words: a shift, the reverse, another tokenizer.
    why: of `not_judged`, one sentence. raw_json: share of the sampled pieces of text that are lines of JSON."""

    share: float | None
    ids: int
    verdict: Verdict
    fits: str | None = None
    other_order: float | None = None
    why: str = ""
    raw_json: float = 0.0


NO_TOKENIZER = RoundTrip(None, 0, "not_judged", why="There is no tokenizer to decode with.")


def round_trip(
    dataset: TokenDataset, text: TokenText | None, *, first: int | None = None, others: Iterable[TokenText] = ()
) -> RoundTrip:
    """Judge a sample of WINDOWS × WINDOW_IDS ids, evenly from all files. others: tokenizers to try where it is no text.
    Costs about 50 ms, and as much for each thing that is tried then."""
    if text is None:
        return NO_TOKENIZER
    if text.dropout:
        why = f"The tokenizer drops merges at random (dropout {text.dropout:g}), so text does not come back."
        return RoundTrip(None, 0, "not_judged", why=why)
    windows = sampled(dataset, first)
    share, tested, raw_json = text.round_trip(_known(windows, text))
    if tested < ROUND_TRIP_MIN_IDS.value:
        why = f"Only {tested:,} ids could be tried; {ROUND_TRIP_MIN_IDS.value:,.0f} are needed."
        return RoundTrip(None, tested, "not_judged", why=why)
    other = _in_another_order(windows, text)
    if share < ROUND_TRIP.value:
        return RoundTrip(share, tested, "not_text", _fitting(windows, text, others), other)
    if other >= ROUND_TRIP_BLIND.value:
        why = f"With this tokenizer {percent(other)} of the ids come back in any order too."
        return RoundTrip(share, tested, "not_judged", None, other, why, raw_json)
    return RoundTrip(share, tested, "text", None, other, raw_json=raw_json)


def sampled(dataset: TokenDataset, first: int | None = None) -> list[Int64]:
    """WINDOWS stretches of WINDOW_IDS ids, evenly spaced over the files (or their first `first` ids)."""
    total = dataset.tokens if first is None else min(first, dataset.tokens)
    starts = np.unique(np.linspace(0, max(0, total - WINDOW_IDS), WINDOWS).astype(np.int64)).tolist()
    found, before = [], 0
    for index, file in enumerate(dataset.shards):
        inside = [start - before for start in starts if before <= start < before + file.tokens]
        stop = min(file.tokens, total - before)
        spans = dataset.spans(index, [(start, min(start + WINDOW_IDS, stop)) for start in inside])
        found += [ids.astype(np.int64) for ids in spans]
        before += file.tokens
    return found


def _fitting(windows: list[Int64], text: TokenText, others: Iterable[TokenText]) -> str | None:
    """In words, what makes text of the ids: the first thing that does."""
    ways: list[tuple[str, Callable[[Int64], Int64]]] = [
        (f"every id {-by:+d}: they were shifted by {by:+d}", lambda ids, by=by: ids - by)  # type: ignore[misc]
        for by in SHIFTS
    ]
    ways.append(("the reverse order", lambda ids: ids[::-1]))
    for words, way in ways:
        if _is_text([way(ids) for ids in windows], text):
            return words
    for other in others:
        if not other.dropout and _is_text(windows, other):
            return f"the tokenizer {one_line(other.name or str(other.path), 200)}"
    return None


def _is_text(windows: list[Int64], text: TokenText) -> bool:
    """Whether the ids come back, and would not in another order."""
    found = text.round_trip(_known(windows, text))
    if found.share < ROUND_TRIP.value or found.tried < ROUND_TRIP_MIN_IDS.value:
        return False
    return _in_another_order(windows, text) < ROUND_TRIP_BLIND.value


def _in_another_order(windows: list[Int64], text: TokenText) -> float:
    """What comes back of the ids shuffled, or renamed: the larger share."""
    rng = np.random.default_rng(0)
    return max(text.round_trip(_known(w, text)).share for w in (_shuffled(windows, rng), _renamed(windows, text, rng)))


def _known(windows: Sequence[Int64], text: TokenText) -> list[list[int]]:
    size = text.vocab_size_with_added
    return [ids[(ids >= 0) & (ids < size)].tolist() for ids in windows]


def _shuffled(windows: list[Int64], rng: np.random.Generator) -> list[Int64]:
    mixed = rng.permutation(np.concatenate(windows))
    return list(np.split(mixed, np.cumsum([len(ids) for ids in windows])[:-1]))


def _renamed(windows: list[Int64], text: TokenText, rng: np.random.Generator) -> list[Int64]:
    names = rng.permutation(text.vocab_size_with_added)
    return [names[ids[(ids >= 0) & (ids < len(names))]] for ids in windows]
