"""Ids back to text, for people: the tokenizer beside a shard or a checkpoint, opened without transformers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer

from diag.errors import InputError

MAX_BYTES = 128 << 20  # the largest published tokenizer.json is about 33 MB
_MAX_SHOWN = 48  # characters of one token
_U32 = 1 << 32


@dataclass(frozen=True)
class TokenText:
    """A tokenizer, reduced to what the pages need.

    vocab_size: entries without added tokens. vocab_size_with_added: the largest id + 1, which is the first id that
    means nothing (ids may have holes). unk_id: the id of the *string* `<unk>`, because Qwen tokenizers declare no
    unk_token although the entry is there; None if there is no such entry.
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
            unk_id=tokenizer.token_to_id("<unk>"),
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

    def decode(self, ids: Iterable[int]) -> str:
        """The text of consecutive ids, special tokens included, as it is (not escaped). Unknown ids give nothing."""
        known = [int(i) for i in ids if 0 <= i < self.vocab_size_with_added]
        return self._tokenizer.decode(known, skip_special_tokens=False)


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 1] + "…"
