"""What every token-file reader returns: a dataset, which is an ordered list of shards (files) of ids of one type."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from diag.errors import InputError
from diag.file_state import States
from diag.listing import Lister
from diag.reading import fill, opened, scratch, shorter

# The integer types that `--dtype` names for a file that does not say; NumPy codes without a byte order.
DTYPES: dict[str, str] = {"u8": "u1", "u16": "u2", "u32": "u4", "i32": "i4", "i64": "i8"}
# Those, and the ones that only formats with a header use.
STORED_DTYPES: dict[str, str] = {**DTYPES, "i8": "i1", "i16": "i2", "u64": "u8"}

# No tokenizer comes near 4 Mi entries; a larger claim must not size a table of counts (32 MiB at this bound).
MAX_VOCAB = 1 << 22
PIECE_IDS = 1 << 20  # ids handed out at a time: 4 MB of u32

_FINGERPRINT_EDGE = 1 << 20  # bytes read at each end of a file

Ids = npt.NDArray[Any]
"""Ids as stored, shape [tokens], any of STORED_DTYPES."""
Lengths = npt.NDArray[np.int64]
"""Tokens of consecutive documents, shape [documents]."""

Piece = Callable[[], Ids]
"""Reads some ids, on whichever thread calls it. The array is that thread's until it reads the next piece."""

Confidence = Literal["certain", "likely", "ambiguous"]


class Source(Protocol):
    """Where the ids of one file come from. Every method opens the file anew: a folder can hold more files than a
    process may keep open. All raise InputError when the file has shrunk, gone, or does not hold what it stated."""

    def read(self, start: int, stop: int) -> Ids:
        """The ids start to stop - 1, read-only, 0 ≤ start ≤ stop ≤ tokens; costs what lies between, not the file."""
        ...

    def spans(self, wanted: Sequence[tuple[int, int]]) -> Iterator[Ids]:
        """The ids of each (start, stop) in turn, start < stop, neither falling: in one sweep of what must be unpacked
        from its start, which `read` would unpack anew for each."""
        ...

    def pieces(self, stop: int) -> Iterator[Piece]:
        """The first `stop` ids in order, 1 to PIECE_IDS of them a piece; memory for a few of these."""
        ...

    def document_lengths(self) -> Iterator[Lengths] | None:
        """Tokens of each document in order, in arrays of bounded size; None where the format does not say."""
        ...


@dataclass(frozen=True)
class Plain:
    """Ids that lie in the file as they are, from byte `offset` on. `dtype` includes the byte order.

    They are read and never mapped: a mapped file that shrinks ends the process (SIGBUS).
    """

    path: Path
    dtype: np.dtype[Any]
    tokens: int
    offset: int = 0
    lengths: Callable[[], Iterator[Lengths]] | None = field(default=None, compare=False)

    def read(self, start: int, stop: int) -> Ids:
        """The ids start to stop - 1, read-only: one open, and memory for what is asked."""
        return self._fill(start, np.empty(stop - start, dtype=self.dtype))

    def spans(self, wanted: Sequence[tuple[int, int]]) -> Iterator[Ids]:
        """The ids of each (start, stop) in turn."""
        return (self.read(start, stop) for start, stop in wanted)

    def pieces(self, stop: int) -> Iterator[Piece]:
        """The first `stop` ids in order, PIECE_IDS at a time, each thread into one buffer: three times faster than new
        memory for each, and near the speed of a map."""
        for start in range(0, stop, PIECE_IDS):
            yield partial(self._into_buffer, start, min(start + PIECE_IDS, stop))

    def document_lengths(self) -> Iterator[Lengths] | None:
        """Tokens of each document in order, where something beside the ids states them; else None."""
        return self.lengths() if self.lengths else None

    def _into_buffer(self, start: int, stop: int) -> Ids:
        return self._fill(start, scratch((stop - start) * self.dtype.itemsize).view(self.dtype))

    def _fill(self, start: int, ids: Ids) -> Ids:
        with opened(self.path) as file:
            if not fill(file, self.offset + start * self.dtype.itemsize, ids):
                raise shorter(self.path)
        ids.flags.writeable = False
        return ids


@dataclass(frozen=True)
class ShardFile:
    """One file of a dataset. `tokens` is its number of ids, checked against the size of the file wherever that is
    possible without reading it. `path` is the file that holds the ids, not an index beside it. `padding`: ids that fill
    up rows, by the attention mask beside them, and are none of the tokens."""

    path: Path
    tokens: int
    source: Source = field(repr=False, compare=False)
    padding: int = 0


@dataclass(frozen=True)
class BadFile:
    """A file of a folder that cannot be used, and the sentence that says why. The others are read without it."""

    path: Path
    error: str


@dataclass(frozen=True)
class Sniff:
    """How sure the type of the ids is. reasons: why this format and type, one sentence each. alternatives: other types
    that fit, such as "u16 little", for a file that states nothing; then confidence is "ambiguous". against: what the
    ids say against a type that was given, one sentence, "" if nothing."""

    confidence: Confidence = "certain"
    reasons: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    against: str = ""


@dataclass(frozen=True)
class TokenDataset:
    """A token file, or a folder of them in the order a trainer reads them (lexical by name).

    dtype: one of STORED_DTYPES. byte_order: "little" or "big". shards: the files in order. offset: bytes before the
    first id in each file, None where ids do not lie in the file as they are (Parquet, Arrow). tokens: ids in all files.
    separator: the id that ends documents, as the format or the manifest states it; untrusted. boundaries: where the
    format states the ends of documents, "" if it does not. manifest: the object found beside the files, as it stands
    and *untrusted*, or None. vocab_size: the manifest's claim, if it is a plausible number. notes: what a reader of the
    numbers should know, one sentence each (a manifest that counts otherwise, files left out). left_out_noted: whether
    the notes already say that token files of the folder were left out. bad_files: what could not be used. missing:
    names of files that should be there by the numbers in the names of the others, or by the manifest. unknown_headers:
    what is known of a header by its shape alone. files_read: the files and what lies beside them, each with its state
    before it was read.
    """

    path: Path
    format: str
    dtype: str
    byte_order: str
    shards: tuple[ShardFile, ...]
    tokens: int
    offset: int | None = 0
    sniff: Sniff = Sniff()
    separator: int | None = None
    boundaries: str = ""
    manifest: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    vocab_size: int | None = None
    notes: tuple[str, ...] = ()
    left_out_noted: bool = False
    bad_files: tuple[BadFile, ...] = ()
    missing: tuple[str, ...] = ()
    unknown_headers: tuple[str, ...] = ()
    files_read: States = field(default_factory=dict, repr=False, compare=False)

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype of `ids`, byte order included."""
        return np.dtype((">" if self.byte_order == "big" else "<") + STORED_DTYPES[self.dtype])

    def ids(self, index: int, start: int = 0, stop: int | None = None) -> Ids:
        """The ids of shard `index` from `start` to `stop` (clipped to the file), read-only, shape [stop - start].

        Memory for what is asked, and no more. InputError when the file has shrunk or
        gone since the dataset was opened.
        """
        shard = self.shards[index]
        stop = shard.tokens if stop is None else min(stop, shard.tokens)
        return shard.source.read(min(start, stop), stop)

    def spans(self, index: int, wanted: Sequence[tuple[int, int]]) -> Iterator[Ids]:
        """The ids of each (start, stop) of shard `index` in turn, neither falling, in one sweep (see Source). The same
        errors, after what could be read."""
        return self.shards[index].source.spans(wanted)

    @property
    def padding(self) -> int:
        """Ids of all files that fill up rows and were left out."""
        return sum(shard.padding for shard in self.shards)

    @cached_property
    def fingerprint(self) -> str:
        """64 hexadecimal digits that name the content cheaply: equal on every machine that holds the same files.

        sha256 over, for each file in order: its size as u64, the sha256 of its first MiB, the sha256 of its last
        MiB. Names and times are left out, because copies change them. At most 2 MiB a file are read, so a change
        in the middle of a large file goes unseen from one run to the next; the digest of a window
        (`WindowTokens.digest`) is exact, and a change during a run is seen by `files_read`.
        """
        total = hashlib.sha256()
        for shard in self.shards:
            try:
                with shard.path.open("rb") as stream:
                    size = stream.seek(0, 2)
                    total.update(size.to_bytes(8, "little"))
                    for offset in (0, max(0, size - _FINGERPRINT_EDGE)):
                        stream.seek(offset)
                        total.update(hashlib.sha256(stream.read(_FINGERPRINT_EDGE)).digest())
            except OSError as error:
                raise InputError(f"The file cannot be read ({error.strerror}).", where=str(shard.path)) from None
        return total.hexdigest()


@dataclass(frozen=True)
class Format:
    """A row of the table of readers: all that is known of a format.

    claims(path, head): whether this row opens a path, by the first bytes of the file (empty for a folder) or by names.
    open(path, dtype): the dataset, or InputError. lists: what of a folder is offered for opening, by names alone.
    suffixes: of the files that hold ids or lead to them. magics: (first bytes, what a file that starts so is called);
    among headerless files such a file is refused. companions: files beside the ids that change what they mean (see
    listing.companions). is_read: False for a format that is recognised and refused by its name.
    """

    name: str
    claims: Callable[[Path, bytes], bool]
    open: Callable[[Path, str | None], TokenDataset]
    lists: Lister
    suffixes: tuple[str, ...] = ()
    magics: tuple[tuple[bytes, str], ...] = ()
    companions: tuple[str, ...] = ()
    is_read: bool = True
