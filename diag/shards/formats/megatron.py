"""Megatron `.idx` and `.bin`: headerless ids in the `.bin`, their type and the documents in the `.idx`.

Source: Megatron-LM, megatron/core/datasets/indexed_dataset.py. After the header of 34 bytes: i32 lengths[S] of
sequences, i64 pointers[S] (bytes into the .bin), i64 documents[D] (first sequence of each, and S at the end).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from diag.errors import InputError
from diag.reading import Stored, readable
from diag.shards.formats import pretokenize
from diag.shards.formats.foreign_files import read_head
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import STORED_DTYPES, Lengths, Plain, ShardFile, TokenDataset

NAME = "megatron"
MAGIC = b"MMIDIDX\0\0"
OLD_MAGIC = b"TNTIDX\0\0"  # of fairseq's IndexedDataset, which Megatron and GPT-NeoX wrote at first
MAGICS = (MAGIC, OLD_MAGIC)

_HEADER = struct.Struct("<9sQBQQ")  # magic, version, type, sequences, documents + 1; packed: 34 bytes
_DTYPES = {1: "u8", 2: "i8", 3: "i16", 4: "i32", 5: "i64", 8: "u16"}
_FLOATS = {6: "f64", 7: "f32"}
_CHUNK = 1 << 17  # entries of the index looked at together: 1 MiB


def claims(path: Path, head: bytes) -> bool:
    """An `.idx` by its magic, a `.bin` by that of the `.idx` beside it, a folder by that of any `.idx` in it."""
    if path.is_dir():
        return any(_is_index(each) for each in with_suffix(path, ".idx"))
    return head.startswith(MAGICS) or (path.suffix.lower() == ".bin" and _is_index(path.with_suffix(".idx")))


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open a pair by either of its files, or all pairs of a folder in lexical order. Costs a short read per file.

    InputError for a damaged index. A `.bin` with a damaged index is read without it if `dtype` is given.
    """
    if path.is_dir():
        paths = [each.with_suffix(".bin") for each in with_suffix(path, ".idx")]
    else:
        paths = [path.with_suffix(".bin") if path.suffix.lower() != ".bin" else path]
    try:
        dataset = assemble(path, NAME, paths, _opened, dtype=dtype)
    except InputError as error:
        if dtype is None or path.suffix.lower() != ".bin" or _states_a_type(path.with_suffix(".idx")):
            raise
        bare = pretokenize.open_files(path, dtype)
        return replace(bare, notes=(*bare.notes, f"The index beside it is left out: {error.what}"))
    return replace(dataset, boundaries="the index (.idx) beside the ids")


@dataclass(frozen=True)
class _Index:
    """The arrays of an `.idx`, read in parts when needed. stop: bytes of the `.bin` that the sequences take."""

    path: Path
    width: int
    sequences: int
    documents: int

    @property
    def lengths(self) -> Stored:
        return Stored(self.path, _HEADER.size, "<i4", self.sequences)

    @property
    def pointers(self) -> Stored:
        return Stored(self.path, _HEADER.size + 4 * self.sequences, "<i8", self.sequences)

    @property
    def firsts(self) -> Stored:
        return Stored(self.path, _HEADER.size + 12 * self.sequences, "<i8", self.documents)

    @property
    def stop(self) -> int:
        if not self.sequences:
            return 0
        last = slice(self.sequences - 1, None)
        return int(self.pointers[last][0]) + int(self.lengths[last][0]) * self.width

    def document_lengths(self) -> Iterator[Lengths]:
        """Tokens of each document. Reads the index once; InputError where it contradicts itself."""
        stop = self.stop
        expected = 0
        for at in range(0, self.sequences, _CHUNK):
            sizes = self.lengths[at : at + _CHUNK].astype(np.int64) * self.width
            ends = expected + np.cumsum(sizes)
            if sizes.min() < 0 or not np.array_equal(self.pointers[at : at + _CHUNK], ends - sizes):
                raise self._contradiction("its sequences do not lie one after the other")
            expected = int(ends[-1])
        if (self.firsts[:1][0], self.firsts[self.documents - 1 :][0]) != (0, self.sequences):
            raise self._contradiction(f"its documents do not run from sequence 0 to {self.sequences:,}")
        for at in range(0, self.documents - 1, _CHUNK):
            firsts = self.firsts[at : at + _CHUNK + 1]
            if firsts.min() < 0 or firsts.max() > self.sequences or (np.diff(firsts) < 0).any():
                raise self._contradiction("its documents are out of order")
            inside = firsts < self.sequences
            starts = np.full(len(firsts), stop, dtype=np.int64)
            starts[inside] = self.pointers.at(firsts[inside])
            yield np.diff(starts) // self.width

    def _contradiction(self, why: str) -> InputError:
        return InputError(f"The Megatron index contradicts itself: {why}.", where=str(self.path), fix="Copy it again.")


def _opened(path: Path) -> GatheredFile:
    index_path = path.with_suffix(".idx")
    index, dtype = _read_index(index_path)
    if not path.is_file():
        raise InputError(f"There is no {path.name} beside its index.", where=str(index_path), fix="Copy both files.")
    size, stop = size_of(path), index.stop
    if not 0 <= stop <= size or stop % index.width:
        raise InputError(
            f"The index ({index_path.name}) ends at byte {stop:,} and the ids have {size:,} bytes: one of the two is "
            "cut short or damaged.",
            where=str(path),
            fix="Copy both files again.",
        )
    tokens = stop // index.width
    notes = [f"{size - stop:,} bytes after the last sequence of the index are left out."] if size > stop else []
    source = Plain(path, np.dtype("<" + STORED_DTYPES[dtype]), tokens, lengths=index.document_lengths)
    reason = f"The index ({index_path.name}) states {dtype} ids and {index.documents - 1:,} documents."
    return GatheredFile(ShardFile(path, tokens, source), dtype, notes=tuple(notes), reasons=(reason,))


def _read_index(path: Path) -> tuple[_Index, str]:
    with readable(path):
        head = read_head(path)
    if head.startswith(OLD_MAGIC):
        raise InputError(
            "This index has the first layout of Megatron (TNTIDX), which is not read.",
            where=str(path),
            fix="Index the data again with a current Megatron, which writes MMIDIDX; with --dtype the .bin is read "
            "without its documents.",
        )
    if not head.startswith(MAGIC) or len(head) < _HEADER.size:
        raise InputError("This is no complete Megatron index.", where=str(path), fix="Copy it again.")
    _, version, code, sequences, documents = _HEADER.unpack_from(head)
    if version != 1:
        raise InputError(f"The Megatron index has version {version}; only version 1 is known.", where=str(path))
    if code in _FLOATS:
        raise InputError(f"The Megatron index states {_FLOATS[code]} values, not token ids.", where=str(path))
    if code not in _DTYPES:
        raise InputError(f"The Megatron index states the unknown type {code}.", where=str(path))
    size, needed = size_of(path), _HEADER.size + 12 * sequences + 8 * documents
    if size != needed or documents < 1:
        raise InputError(
            f"The Megatron index states {sequences:,} sequences and {documents - 1:,} documents ({needed:,} bytes) and "
            f"has {size:,} bytes: it is cut short or damaged.",
            where=str(path),
            fix="Copy it again; a .bin is read without its index if --dtype is given.",
        )
    dtype = _DTYPES[code]
    return _Index(path, int(STORED_DTYPES[dtype][1:]), sequences, documents), dtype


def _is_index(path: Path) -> bool:
    return path.is_file() and read_head(path).startswith(MAGICS)


def _states_a_type(path: Path) -> bool:
    try:
        _read_index(path)
    except InputError:
        return False
    return True
