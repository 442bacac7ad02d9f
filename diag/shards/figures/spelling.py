"""How many bytes of text each entry of a vocabulary stands for, read off its spelling.

Two families spell every byte of a text: byte-level BPE (one character an entry byte, Radford et al. 2019, GPT-2) and
SentencePiece (Kudo & Richardson 2018: ▁ for a space, <0xAB> for a byte of a character that has no entry). Others drop
spaces or endings on the way to ids (WordPiece), so that entries do not tell how long the text was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from diag.shards.reader import MAX_VOCAB

Spelling = Callable[[str], int]
"""An entry to the bytes of UTF-8 text it stands for."""

# Byte-level BPE writes a byte that is no visible Latin-1 character as one of the 68 characters from U+0100 on.
_VISIBLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_BYTE_CHARACTERS = frozenset(map(chr, (*_VISIBLE, *range(0x100, 0x200 - len(_VISIBLE)))))
_ONE_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# Steps of a decoder that leave the bytes of an inner entry as they are.
_NEUTRAL = frozenset({"ByteFallback", "Fuse", "Strip", "Metaspace", "Replace"})


def byte_lengths(tokenizer: Tokenizer, entries: int, silent: frozenset[int]) -> npt.NDArray[np.int32] | None:
    """int32 [entries], read-only: bytes of UTF-8 text per id; 0 for `silent` ids and for holes.

    None if the kind of the tokenizer is not one of the two, or if there are more than MAX_VOCAB entries. Takes about
    0.2 s for 150 000 entries.
    """
    spelling = _spelling(tokenizer)
    if spelling is None or entries > MAX_VOCAB:
        return None
    lengths = np.zeros(entries, dtype=np.int32)
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    lengths[list(vocabulary.values())] = list(map(spelling, vocabulary))
    for id, token in tokenizer.get_added_tokens_decoder().items():  # matched in the text as they are written
        lengths[id] = _utf8(token.content)
    lengths[list(silent)] = 0
    lengths.flags.writeable = False
    return lengths


def _spelling(tokenizer: Tokenizer) -> Spelling | None:
    """By the decoder, which has to know how to get back to the text; by the pre-tokenizer where there is no decoder."""
    steps = list(_steps(tokenizer.decoder or tokenizer.pre_tokenizer))
    kinds = {step["type"] for step in steps}
    if "ByteLevel" in kinds:
        return _byte_level
    if not tokenizer.decoder:
        steps = [step for step in steps if step["type"] == "Metaspace"]
        kinds = {step["type"] for step in steps}
    if not kinds & {"Metaspace", "Replace"} or not kinds <= _NEUTRAL:
        return None
    swaps = []
    for step in steps:
        if step["type"] == "Metaspace":
            swaps.append((step["replacement"], " "))
        elif step["type"] == "Replace":
            if "String" not in step["pattern"]:
                return None
            swaps.append((step["pattern"]["String"], step["content"]))

    def pieces(entry: str) -> int:
        if _ONE_BYTE.fullmatch(entry):
            return 1
        for old, new in swaps:
            entry = entry.replace(old, new)
        return _utf8(entry)

    return pieces


def _byte_level(entry: str) -> int:
    """Entries outside the byte characters are taken literally, as the decoder does."""
    return len(entry) if _BYTE_CHARACTERS.issuperset(entry) else _utf8(entry)


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """The steps of a decoder or pre-tokenizer, sequences unfolded: as tokenizer.json declares them, without reading its
    megabytes of entries again."""
    waiting = [json.loads(part.__getstate__())] if part is not None else []
    while waiting:
        step = waiting.pop(0)
        inner = step.get("decoders") or step.get("pretokenizers")
        if inner:
            waiting = [*inner, *waiting]
        else:
            yield step
