"""A tokenizer.json in the hands of the `tokenizers` library: what the child of diag/isolated answers about it.

Only the child imports this. A chain of decoders of 139 kB can ask for 96 GB: it has limits, and the server has not.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from diag import limits
from diag.errors import InputError
from diag.file_state import state_of
from diag.isolated.wire import Answer
from diag.settings import limit
from diag.shards.figures import spelling

KEPT = 4  # tokenizers held open: 30 to 200 MB each
EDGE, LEAST_PIECE = 4, 16  # ids of a piece for the round trip
SHOWN = 64  # characters of one token that are sent
_U32 = 1 << 32
_OBJECT = re.compile(r'\s*\{\s*"\w+"\s*:')  # the beginning of a JSON object

# What tokenizers call an unknown piece of text, and what they write at the end of a text; the most specific first.
# Ends of a turn come last: a corpus of chats may have no other. A mark for the beginning is not an end.
UNKNOWN = ("<unk>", "[UNK]", "<|unk|>", "<|unknown|>")
END_OF_TEXT = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|end_of_document|>",
    "<|endofdocument|>",
    "<｜end▁of▁sentence｜>",
    "</s>",
    "<eos>",
    "<EOS>",
    "[EOS]",
    "<|eos|>",
    "<|im_end|>",
    "<|eot_id|>",
)


def ready() -> Iterator[Answer]:
    """Nothing: the library is imported."""
    yield Answer()


def opened(path: str, state: str) -> Iterator[Answer]:
    """What TokenText keeps of a tokenizer: numbers, special ids, separators, and the bytes of each entry."""
    tokenizer = _open(path, state)
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    size, most = max(vocabulary.values(), default=-1) + 1, limit(limits.MAX_ENTRIES)
    if not size:
        raise InputError("The tokenizer has no entries.", where=path)
    if max(size, len(vocabulary)) > most:
        raise InputError(
            f"The tokenizer has {max(size, len(vocabulary)):,} entries, and {most:,} are the most that are read.",
            where=path,
            fix=limits.MAX_ENTRIES.more("Use the tokenizer that wrote the shard."),
        )
    unknown = next((id for text in UNKNOWN if (id := tokenizer.token_to_id(text)) is not None), None)
    special = {id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    ends = (tokenizer.token_to_id(string) for string in END_OF_TEXT)
    silent = frozenset(special | ({unknown} if unknown is not None else set()))
    lengths = spelling.byte_lengths(tokenizer, size, silent)
    yield Answer(
        {
            "vocab_size": tokenizer.get_vocab_size(with_added_tokens=False),
            "vocab_size_with_added": size,
            "unk_id": unknown,
            "begins_with": _begins_with(tokenizer),
            "special": sorted(special),
            "separators": [id for id in ends if id in special],
            "dropout": float(getattr(tokenizer.model, "dropout", None) or 0.0),
        },
        () if lengths is None else (lengths,),
    )


def _begins_with(tokenizer: Tokenizer) -> int | None:
    """The id that its template puts in front of a text."""
    try:
        plain, marked = (tokenizer.encode("a", add_special_tokens=marks).ids for marks in (False, True))
    except Exception:  # a list of words without this one, and without anything for the unknown
        return None
    return int(marked[0]) if plain and marked[: len(plain)] != plain else None


def texts(path: str, state: str, ids: Sequence[int]) -> Iterator[Answer]:
    """(the entry as it is spelled, its text) of each id, cut to what anybody shows; None for an id that the tokenizer
    does not have."""
    tokenizer = _open(path, state)
    entries = [tokenizer.id_to_token(id) if 0 <= id < _U32 else None for id in ids]
    decoded = (
        None if entry is None else [entry[:SHOWN], tokenizer.decode([id], skip_special_tokens=False)[:SHOWN]]
        for id, entry in zip(ids, entries, strict=True)
    )
    yield Answer({"texts": list(decoded)})


def encode(path: str, state: str, text: str) -> Iterator[Answer]:
    """The ids of a text, with what the tokenizer puts around it."""
    yield Answer({"ids": _open(path, state).encode(text).ids})


def decode(path: str, state: str, ids: Sequence[int]) -> Iterator[Answer]:
    """The text of consecutive ids, special tokens included."""
    yield Answer({"text": _open(path, state).decode(ids, skip_special_tokens=False)})


def round_trip(path: str, state: str, windows: Sequence[Sequence[int]]) -> Iterator[Answer]:
    """How many ids of each window come back when its text is encoded again, of how many. Windows are cut at added
    tokens, which are no text, and EDGE ids at either end of a piece are not counted: words are cut there."""
    tokenizer = _open(path, state)
    added = set(tokenizer.get_added_tokens_decoder())
    pieces = [list(piece) for window in windows for piece in _between(window, added) if len(piece) >= LEAST_PIECE]
    texts = tokenizer.decode_batch(pieces, skip_special_tokens=False)
    again = tokenizer.encode_batch(texts, add_special_tokens=False)
    back = tried = 0
    for ids, encoded in zip(pieces, again, strict=True):
        kept = [False] * len(ids)
        for block in SequenceMatcher(None, ids, encoded.ids, autojunk=False).get_matching_blocks():
            kept[block.a : block.a + block.size] = [True] * block.size
        back += sum(kept[EDGE:-EDGE])
        tried += len(ids) - 2 * EDGE
    yield Answer({"back": back, "tried": tried, "raw_json": sum(map(_is_raw_json, texts)) / max(1, len(texts))})


def _is_raw_json(text: str) -> bool:
    """Whether a piece of text is of a line of JSON: its line ends are escaped, or it is an object from its start."""
    if "\n" in text.strip():
        return False
    return text.count("\\n") >= 2 or bool(_OBJECT.match(text))


def _between(ids: Sequence[int], cuts: Container[int]) -> Iterator[Sequence[int]]:
    start = 0
    for at, id in enumerate(ids):
        if id in cuts:
            yield ids[start:at]
            start = at + 1
    yield ids[start:]


@lru_cache(maxsize=KEPT)
def _open(path: str, state: str) -> Tokenizer:
    """The file whose state it is; InputError when it is another one by now."""
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:
        raise InputError(f"This is no usable tokenizer ({error}).", where=path) from None
    if (now := state_of(Path(path))) is None or now.stamp != state:
        raise InputError("The tokenizer changed while it was read.", where=path, fix="Open it again.")
    return tokenizer
