"""Ids back to text, for people: the tokenizer beside a shard or a checkpoint.

The library that reads it runs in a child with limits (diag/isolated); here is what it answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from diag import isolated
from diag.errors import InputError
from diag.file_state import state_of

MAX_BYTES = 128 << 20  # the largest published tokenizer.json is about 33 MB
_MAX_SHOWN = 48  # characters of one token


class Back(NamedTuple):
    """share: of the `tried` ids, those that came back. raw_json: share of the pieces of text that are lines of JSON."""

    share: float
    tried: int
    raw_json: float


@dataclass(frozen=True)
class TokenText:
    """A tokenizer, reduced to what the pages need.

    vocab_size: entries without added tokens. vocab_size_with_added: the largest id + 1, which is the first id that
    means nothing (ids may have holes). unk_id: the id of the *string* `<unk>` (or another of UNKNOWN), because Qwen
    tokenizers declare no unk_token although the entry is there; None if there is no such entry.
    begins_with: the id that it puts in front of every text; None where it puts none.
    dropout: the share of merges that the tokenizer leaves out at random; 0 for most.
    name: of the checkpoint that it lies beside, where the catalogue lists that; records carry no paths.
    """

    path: Path
    vocab_size: int
    vocab_size_with_added: int
    unk_id: int | None
    begins_with: int | None
    dropout: float
    _state: str = field(repr=False)
    _special: frozenset[int] = field(repr=False, compare=False)
    _separators: tuple[int, ...] = field(repr=False, compare=False)
    _byte_lengths: npt.NDArray[np.int32] | None = field(repr=False, compare=False)
    name: str = ""

    @classmethod
    def open(cls, path: Path) -> TokenText:
        """From a folder that holds tokenizer.json, or from that file. Takes about a second for 150 000 entries.

        InputError when it is missing, larger than MAX_BYTES, or cannot be used.
        """
        file = Path(path) / "tokenizer.json" if Path(path).is_dir() else Path(path)
        if not file.is_file():
            raise InputError("There is no tokenizer.json.", where=str(path), fix="Name the folder that holds it.")
        state = state_of(file)
        if state is None:
            raise InputError("The tokenizer cannot be read.", where=str(file), fix="Look at its permissions.")
        if state.size > MAX_BYTES:
            raise InputError(f"The tokenizer is larger than {MAX_BYTES >> 20} MiB.", where=str(file))
        found = isolated.ask("tokenizer.open", str(file), state=state.stamp)
        lengths = found.arrays[0] if found.arrays else None
        if lengths is not None:
            lengths.flags.writeable = False
        said = found.values
        return cls(
            path=file,
            vocab_size=said["vocab_size"],
            vocab_size_with_added=said["vocab_size_with_added"],
            unk_id=said["unk_id"],
            begins_with=said["begins_with"],
            dropout=said["dropout"],
            _state=state.stamp,
            _special=frozenset(said["special"]),
            _separators=tuple(said["separators"]),
            _byte_lengths=lengths,
        )

    @property
    def state(self) -> str:
        """Of the file that was opened: the stamp of its FileState."""
        return self._state

    def text(self, token_id: int) -> str | None:
        """One token as printable text; see `texts`."""
        return self.texts((token_id,))[0]

    def texts(self, ids: Sequence[int]) -> list[str | None]:
        """Tokens one by one as printable text, control characters escaped; None for an id the tokenizer does not have.

        Part of a UTF-8 character has no text of its own: then the tokenizer's own spelling of the entry is given.
        The strings are raw: whoever displays them escapes markup. Costs about 0.2 ms, and 3 µs an id.
        """
        found = self._ask("texts", ids=[int(id) for id in ids])["texts"]
        return [None if pair is None else _shown(*pair) for pair in found]

    def encode(self, text: str) -> list[int] | None:
        """The ids of a text, with what the tokenizer puts around it; None where some of it is unknown to it."""
        ids: list[int] = self._ask("encode", text=text)["ids"]
        return None if not ids or (self.unk_id is not None and self.unk_id in ids) else ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of consecutive ids, special tokens included, as it is (not escaped). Unknown ids give nothing."""
        known = [int(i) for i in ids if 0 <= i < self.vocab_size_with_added]
        return str(self._ask("decode", ids=known)["text"])

    def round_trip(self, windows: Sequence[Sequence[int]]) -> Back:
        """What comes back when the text of the windows is encoded again; see figures/round_trip.py. Costs about 5 ms
        for 6,000 ids, and what sending them takes."""
        found = self._ask("round_trip", windows=windows)
        return Back(found["back"] / max(1, found["tried"]), found["tried"], found["raw_json"])

    def special_ids(self) -> frozenset[int]:
        """Ids of added tokens that the tokenizer flags as special: control tokens, not text."""
        return self._special

    def separators(self) -> tuple[int, ...]:
        """The control tokens that are known to end a text, by their strings, in the order of END_OF_TEXT. An ordinary
        entry that is spelled the same, like `</s>` in Qwen's vocabulary, is none."""
        return self._separators

    def byte_lengths(self) -> npt.NDArray[np.int32] | None:
        """int32 [vocab_size_with_added], read-only: bytes of UTF-8 text that each id stands for.

        Special tokens and the unknown token count 0, because they are not text (or do not say which); other added
        tokens count as written. The text is the normalised one, and a tokenizer that puts a space before a text counts
        it. None if the kind of tokenizer is not understood: see spelling.py.
        """
        return self._byte_lengths

    def _ask(self, call: str, **params: Any) -> dict[str, Any]:
        return isolated.ask(f"tokenizer.{call}", str(self.path), state=self._state, **params).values


def texts_of(text: TokenText | None, ids: Iterable[int]) -> list[str | None]:
    """`texts`, or as many None without a tokenizer."""
    wanted = [int(id) for id in ids]
    return text.texts(wanted) if text and wanted else [None] * len(wanted)


def _shown(entry: str, decoded: str) -> str:
    return _printable(entry if not decoded or "\ufffd" in decoded else decoded)


def _printable(text: str) -> str:
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return shown if len(shown) <= _MAX_SHOWN else shown[: _MAX_SHOWN - 1] + "…"


def visible(text: str | None) -> str | None:
    """Spaces one can count: many frequent tokens are nothing but indentation."""
    return None if text is None else text.replace(" ", "␣")
