"""llm.c, modded-nanogpt and their forks: a header of 256 × i32, then the ids.

Source: llm.c, dev/data/data_common.py. The header holds the magic (which states the type of the ids), a version and the
number of ids. Forks write magics of their own (20251013, 20250211, 20251218 are in use), so a header is also known by
its shape: its third number times 2 or 4, and 1024, is the size of the file, which no ids give by accident.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from diag.errors import InputError
from diag.results.thresholds_shards import PLAUSIBLE_ID
from diag.shards.formats.foreign_files import read_head, refuse
from diag.shards.formats.gather import GatheredFile, assemble, size_of, with_suffix
from diag.shards.reader import STORED_DTYPES, Plain, ShardFile, TokenDataset

NAME = "llm.c"
HEADER_BYTES = 1024
EVALUATION = 20240522  # the magic of files with questions and no training tokens
DTYPES = {20240520: "u16", 20240801: "u32"}  # by magic
_VERSIONS = {"u16": (1,), "u32": (1, 7)}
# What the writers of these files put between documents: GPT-2's <|endoftext|>, and Llama 3's <|begin_of_text|>.
_SEPARATORS = {"u16": 50256, "u32": 128000}


def claims(path: Path, head: bytes) -> bool:
    """By the magic or the shape of the header; a folder by those of its first `.bin` that is not empty."""
    if not path.is_dir():
        return type_by(head, size_of(path)) is not None
    heads = ((each, read_head(each)) for each in with_suffix(path, ".bin") if each.is_file())
    first = next(((each, head) for each, head in heads if head), None)
    return first is not None and type_by(first[1], size_of(first[0])) is not None


def type_by(head: bytes, size: int) -> str | None:
    """The type of the ids by the magic, else by what the size of the file says; None where this is no such header."""
    known = DTYPES.get(_magic(head))
    if known or len(head) < HEADER_BYTES or _magic(head) == EVALUATION:
        return known
    magic, version, tokens, *rest = np.frombuffer(head, dtype="<i4", count=HEADER_BYTES // 4).tolist()
    # Ids of the same first bytes would be a magic below any vocabulary, among others that are no zeros.
    if not (magic >= PLAUSIBLE_ID.value or rest.count(0) > len(rest) // 2) or tokens < 1 or version < 0:
        return None
    widths = {HEADER_BYTES + tokens * np.dtype(STORED_DTYPES[dtype]).itemsize: dtype for dtype in ("u16", "u32")}
    return widths.get(size)


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one file, or the `.bin` of a folder in lexical order. Costs a short read per file.

    InputError for a file shorter than its header states.
    """
    dataset = assemble(path, NAME, with_suffix(path, ".bin") if path.is_dir() else [path], _opened, dtype=dtype)
    if dataset.unknown_headers:
        return dataset  # whose convention it is, nobody knows
    separator = _SEPARATORS[dataset.dtype]
    note = f"Documents are taken to end at id {separator}, the convention of this format's writers; no file states it."
    return replace(dataset, separator=separator, notes=(*dataset.notes, note))


def _magic(head: bytes) -> int:
    return int.from_bytes(head[:4], "little")


def _opened(path: Path) -> GatheredFile:
    head, size = read_head(path), size_of(path)
    if not head:
        return GatheredFile(ShardFile(path, 0, Plain(path, np.dtype("<u2"), 0)), None)
    dtype = type_by(head, size)
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
    notes, unknown = [], ""
    if _magic(head) not in DTYPES:
        unknown = f"magic {_magic(head)}, {stored.itemsize * 8}-bit ids after {HEADER_BYTES:,} bytes"
    elif version not in _VERSIONS[dtype]:
        notes.append(f"The header states the unknown version {version}.")
    if size > HEADER_BYTES + tokens * stored.itemsize:
        notes.append(f"The header states {tokens:,} ids; what follows them ({present - tokens:,} more) is left out.")
    return GatheredFile(
        ShardFile(path, tokens, Plain(path, stored, tokens, HEADER_BYTES)),
        dtype,
        "little",
        HEADER_BYTES,
        tuple(notes),
        (
            f"Its header starts with {_magic(head)}, which stands for {stored.itemsize * 8}-bit ids."
            if not unknown
            else f"Its header has the shape of llm.c's, and its size is that of {stored.itemsize * 8}-bit ids.",
        ),
        unknown,
    )
