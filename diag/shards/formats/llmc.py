"""llm.c and modded-nanogpt: a header of 256 × i32, then the ids.

Source: llm.c, dev/data/data_common.py. The header holds the magic (which states
the type of the ids), a version and the number of ids.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from diag.errors import InputError
from diag.shards.formats.foreign_files import read_head, refuse
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import STORED_DTYPES, Plain, ShardFile, TokenDataset

NAME = "llm.c"
HEADER_BYTES = 1024
DTYPES = {20240520: "u16", 20240801: "u32"}  # by magic
_VERSIONS = {"u16": (1,), "u32": (1, 7)}
# What the writers of these files put between documents: GPT-2's <|endoftext|>, and Llama 3's <|begin_of_text|>.
_SEPARATORS = {"u16": 50256, "u32": 128000}


def claims(path: Path, head: bytes) -> bool:
    """By the magic; a folder by that of its first `.bin` that is not empty."""
    if not path.is_dir():
        return _magic(head) in DTYPES
    heads = (read_head(each) for each in with_suffix(path, ".bin") if each.is_file())
    return _magic(next((head for head in heads if head), b"")) in DTYPES


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one file, or the `.bin` of a folder in lexical order. Costs a short read per file.

    InputError for a file shorter than its header states.
    """
    dataset = assemble(path, NAME, with_suffix(path, ".bin") if path.is_dir() else [path], _opened, dtype=dtype)
    separator = _SEPARATORS[dataset.dtype]
    note = f"Documents are taken to end at id {separator}, the convention of this format's writers; no file states it."
    return replace(dataset, separator=separator, notes=(*dataset.notes, note))


def _magic(head: bytes) -> int:
    return int.from_bytes(head[:4], "little")


def _opened(path: Path) -> GatheredFile:
    head, size = read_head(path), size_of(path)
    if not head:
        return GatheredFile(ShardFile(path, 0, Plain(path, np.dtype("<u2"), 0)), None)
    dtype = DTYPES.get(_magic(head))
    if dtype is None:
        refuse(path, head)
        raise InputError("This does not start with the header of an llm.c token file.", where=str(path))
    if size < HEADER_BYTES:
        raise InputError(f"Its header of {HEADER_BYTES} bytes is cut short at {size}.", where=str(path))
    version, tokens = (int(value) for value in np.frombuffer(head, dtype="<i4", count=2, offset=4))
    stored = np.dtype("<" + STORED_DTYPES[dtype])
    present = (size - HEADER_BYTES) // stored.itemsize
    if not 0 <= tokens <= present:
        raise InputError(
            f"The header states {tokens:,} ids and the file holds {present:,}: it is cut short or damaged.",
            where=str(path),
            fix="Copy it again.",
        )
    notes = []
    if version not in _VERSIONS[dtype]:
        notes.append(f"The header states the unknown version {version}.")
    if size > HEADER_BYTES + tokens * stored.itemsize:
        notes.append(f"The header states {tokens:,} ids; what follows them ({present - tokens:,} more) is left out.")
    return GatheredFile(
        ShardFile(path, tokens, Plain(path, stored, tokens, HEADER_BYTES)),
        dtype,
        "little",
        HEADER_BYTES,
        tuple(notes),
        (f"Its header starts with {_magic(head)}, which stands for {stored.itemsize * 8}-bit ids.",),
    )
