"""Ids back to text, for people: the tokenizer beside a shard or a checkpoint, opened without transformers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from diag.errors import InputError
from diag.shards.figures import spelling

MAX_BYTES = 128 << 20  # the largest published tokenizer.json is about 33 MB
_MAX_SHOWN = 48  # characters of one token
_U32 = 1 << 32

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


@dataclass(frozen=True)
class TokenText:
    """A tokenizer, reduced to what the pages need.

    vocab_size: entries without added tokens. vocab_size_with_added: the largest id + 1, which is the first id that
    means nothing (ids may have holes). unk_id: the id of the *string* `<unk>` (or another of UNKNOWN), because Qwen
    tokenizers declare no unk_token although the entry is there; None if there is no such entry.
    """

    path: Path
    vocab_size: int
    vocab_size_with_added: int
    unk_id: int | None
    _tokenizer: Tokenizer = field(repr=False, compare=False)

    @classmethod
    def open(cls, path: Path) -> TokenText:
        """From a folder that holds tokenizer.json, or from that file. Takes about a second for 150 000 entries.

        InputError when it is missing, larger than MAX_BYTES, or cannot be used.
        """
        file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
        if not file.is_file():
            raise InputError("There is no tokenizer.json.", where=str(path), fix="Name the folder that holds it.")
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"The tokenizer is larger than {MAX_BYTES >> 20} MiB.", where=str(file))
        try:
            tokenizer = Tokenizer.from_file(str(file))
            largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in the Rust library is no Exception
            raise InputError(f"This is no usable tokenizer ({error}).", where=str(file)) from None
        if largest < 0:
            raise InputError("The tokenizer has no entries.", where=str(file))
        return cls(
            path=file,
            vocab_size=tokenizer.get_vocab_size(with_added_tokens=False),
            vocab_size_with_added=largest + 1,
            unk_id=next((id for text in UNKNOWN if (id := tokenizer.token_to_id(text)) is not None), None),
            _tokenizer=tokenizer,
        )

    def text(self, token_id: int) -> str | None:
        """One token as printable text, control characters escaped; None for an id the tokenizer does not have.

        Part of a UTF-8 character has no text of its own: then the tokenizer's own spelling of the entry is given.
        The string is raw: whoever displays it escapes markup.
        """
        entry = self._tokenizer.id_to_token(token_id) if 0 <= token_id < _U32 else None
        if entry is None:
            return None
        decoded = self._tokenizer.decode([token_id], skip_special_tokens=False)
        return _printable(entry if not decoded or "\ufffd" in decoded else decoded)

    def encode(self, text: str) -> list[int] | None:
        """The ids of a text, with what the tokenizer puts around it; None where some of it is unknown to it."""
        ids: list[int] = self._tokenizer.encode(text).ids
        return None if not ids or (self.unk_id is not None and self.unk_id in ids) else ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of consecutive ids, special tokens included, as it is (not escaped). Unknown ids give nothing."""
        known = [int(i) for i in ids if 0 <= i < self.vocab_size_with_added]
        return self._tokenizer.decode(known, skip_special_tokens=False)

    def special_ids(self) -> frozenset[int]:
        """Ids of added tokens that the tokenizer flags as special: control tokens, not text."""
        return self._special

    def separators(self) -> tuple[int, ...]:
        """The control tokens that are known to end a text, by their strings, in the order of END_OF_TEXT. An ordinary
        entry that is spelled the same, like `</s>` in Qwen's vocabulary, is none."""
        ids = (self._tokenizer.token_to_id(string) for string in END_OF_TEXT)
        return tuple(id for id in ids if id in self._special)

    def byte_lengths(self) -> npt.NDArray[np.int32] | None:
        """int32 [vocab_size_with_added], read-only: bytes of UTF-8 text that each id stands for.

        Special tokens and the unknown token count 0, because they are not text (or do not say which); other added
        tokens count as written. The text is the normalised one, and a tokenizer that puts a space before a text counts
        it. None if the kind of tokenizer is not understood: see spelling.py. The first call takes about 0.2 s for
        150 000 entries.
        """
        return self._byte_lengths

    @cached_property
    def _special(self) -> frozenset[int]:
        return frozenset(id for id, token in self._tokenizer.get_added_tokens_decoder().items() if token.special)

    @cached_property
    def _byte_lengths(self) -> npt.NDArray[np.int32] | None:
        silent = self._special | ({self.unk_id} if self.unk_id is not None else set())
        return spelling.byte_lengths(self._tokenizer, self.vocab_size_with_added, silent)


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 1] + "…"


def visible(text: str | None) -> str | None:
    """Spaces one can count: many frequent tokens are nothing but indentation."""
    return None if text is None else text.replace(" ", "␣")
