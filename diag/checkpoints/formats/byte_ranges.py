"""Where the tensors of one file lie: ranges of bytes, which must end inside the file and must not overlap."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Protocol

from diag.errors import InputError


class ByteRange(Protocol):
    """An entry of a header: `nbytes` bytes from byte `offset` of the file on."""

    @property
    def name(self) -> str: ...

    @property
    def offset(self) -> int: ...

    @property
    def nbytes(self) -> int: ...


def check_byte_ranges(entries: Iterable[ByteRange], size: int, where: str) -> int:
    """The bytes that all entries of a file of `size` bytes take. InputError when a range ends past the end, or two
    ranges overlap. An entry of 0 bytes is a placeholder and may lie anywhere."""
    filled = sorted((e for e in entries if e.nbytes), key=lambda e: e.offset)
    end = max((e.offset + e.nbytes for e in filled), default=0)
    if end > size:
        raise InputError(
            f"the file is {end - size:,} bytes shorter than its header says.", where=where, fix="Copy it again."
        )
    for before, after in pairwise(filled):
        if before.offset + before.nbytes > after.offset:
            raise InputError(
                f"the tensors '{before.name[:100]}' and '{after.name[:100]}' overlap.",
                where=where,
                fix="Copy or convert the file again.",
            )
    return sum(e.nbytes for e in filled)
