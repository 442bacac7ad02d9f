"""Reading a shard: any stretch of its ids with their text, for a person who wants to see the data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from diag.errors import InputError
from diag.shards.reader import TokenDataset
from diag.shards.text import TokenText, texts_of

MAX_SPAN = 4_096  # more than anybody reads on one screen
DEFAULT_SPAN = 256


@dataclass(frozen=True)
class SpanToken:
    """One token. position: in the whole shard, from 0. text: printable, None if the tokenizer has no such id.

    special: a control token of the tokenizer. ends_document: the id that was found to end documents.
    """

    position: int
    id: int
    text: str | None
    special: bool
    ends_document: bool


@dataclass(frozen=True)
class Span:
    """Tokens start to stop - 1 of a shard of `tokens`, all of one file. file_start: position of the file's first token.

    text: the tokens decoded together, special ones included, raw; None without a tokenizer.
    """

    start: int
    stop: int
    tokens: int
    file: str
    file_start: int
    file_stop: int
    text: str | None
    items: tuple[SpanToken, ...]


def read_span(
    dataset: TokenDataset,
    start: int,
    length: int = DEFAULT_SPAN,
    *,
    text: TokenText | None = None,
    separator: int | None = None,
) -> Span:
    """`length` tokens from `start` on, counted over all files in reading order; a span ends with its file.

    InputError when `start` lies outside the shard or the length is not 1 to MAX_SPAN. Reads only what it returns,
    as far as the format allows.
    """
    if not 1 <= length <= MAX_SPAN:
        raise InputError(f"A span of {length:,} tokens was asked for.", fix=f"Ask for 1 to {MAX_SPAN:,}.")
    if not 0 <= start < dataset.tokens:
        raise InputError(
            f"Position {start:,} is outside the shard.",
            where=str(dataset.path),
            fix=f"Give a position from 0 to {dataset.tokens - 1:,}.",
        )
    stops = list(accumulate(file.tokens for file in dataset.shards))
    index = int(np.searchsorted(stops, start, side="right"))
    file = dataset.shards[index]
    first = stops[index] - file.tokens
    stop = min(start + length, stops[index])
    ids = [int(i) for i in dataset.ids(index, start - first, stop - first)]
    special = text.special_ids() if text else frozenset()
    items = tuple(
        SpanToken(start + n, id, shown, id in special, id == separator)
        for n, (id, shown) in enumerate(zip(ids, texts_of(text, ids), strict=True))
    )
    decoded = text.decode(ids) if text else None
    return Span(start, stop, dataset.tokens, file.path.name, first, stops[index], decoded, items)
