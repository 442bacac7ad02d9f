"""Chunks of the packed data set of lit-llama, lit-gpt and TinyLlama: a header of 24 bytes, then the ids.

Source: TinyLlama, lit_gpt/packed_dataset.py. "LITPKDS", u64 version 1, u8 type, u64 ids. A chunk is always full: what
no text filled holds the separator, which the header does not name.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from diag.errors import InputError
from diag.shards.formats.foreign_files import read_head, refuse
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import STORED_DTYPES, Plain, ShardFile, TokenDataset

NAME = "litpkds"
MAGIC = b"LITPKDS"

_HEADER = struct.Struct("<7sQBQ")  # magic, version, type, ids; packed: 24 bytes
_DTYPES = {1: "u8", 2: "i8", 3: "i16", 4: "i32", 5: "i64", 8: "u16"}


def claims(path: Path, head: bytes) -> bool:
    """By the magic; a folder by that of its first `.bin` that is not empty."""
    if not path.is_dir():
        return head.startswith(MAGIC)
    heads = (read_head(each) for each in with_suffix(path, ".bin") if each.is_file())
    return next((head for head in heads if head), b"").startswith(MAGIC)


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one chunk, or the `.bin` of a folder in lexical order. Costs a short read per file.

    InputError for a type that no ids have, and for a file shorter than its header states.
    """
    return assemble(path, NAME, with_suffix(path, ".bin") if path.is_dir() else [path], _opened, dtype=dtype)


def _opened(path: Path) -> GatheredFile:
    head, size = read_head(path), size_of(path)
    if not head.startswith(MAGIC) or len(head) < _HEADER.size:
        refuse(path, head)
        raise InputError("This does not start with the header of a LITPKDS chunk.", where=str(path))
    _, version, code, tokens = _HEADER.unpack_from(head)
    if version != 1:
        raise InputError(f"The header states the version {version}; only version 1 is known.", where=str(path))
    if code not in _DTYPES:
        raise InputError(f"The header states the type {code}, which no ids have.", where=str(path))
    dtype = _DTYPES[code]
    stored = np.dtype("<" + STORED_DTYPES[dtype])
    present = (size - _HEADER.size) // stored.itemsize
    if tokens > present:
        raise InputError(
            f"The header states {tokens:,} ids and the file holds {present:,}: it is cut short or damaged.",
            where=str(path),
            fix="Copy it again.",
        )
    notes = [f"{present - tokens:,} ids after those that the header states are left out."] if present > tokens else []
    source = Plain(path, stored, tokens, _HEADER.size)
    reason = f"Its header starts with LITPKDS and states {dtype} ids."
    return GatheredFile(ShardFile(path, tokens, source), dtype, "little", _HEADER.size, tuple(notes), (reason,))
