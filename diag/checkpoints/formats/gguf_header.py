"""The header of a GGUF file, versions 2 and 3, read with bounds: key-values, then one entry a tensor. No tensor is
touched.

Format: docs/gguf.md of ggml, and ggml's own reader for what real files hold (at most 4 dimensions, no nested arrays).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.formats.byte_ranges import check_byte_ranges
from diag.checkpoints.formats.gguf_values import FIX, Cursor, Value, read_name, read_values
from diag.checkpoints.ggml import GgmlType, ggml_types
from diag.checkpoints.untrusted import check_count
from diag.errors import InputError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_ALIGNMENT = 1 << 20
MAX_KEYS = 65_536
MAX_DIMENSIONS = 4
MAX_DIMENSION = 1 << 40


@dataclass(frozen=True)
class GgufEntry:
    """A tensor as the file lists it. `shape` is [out, in]: the file lists dimensions innermost first. `offset` counts
    bytes from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int


@dataclass(frozen=True)
class GgufHeader:
    """What the header states. `unclaimed`: bytes of the data that belong to no tensor, beyond alignment."""

    version: int
    values: dict[str, Value]
    entries: tuple[GgufEntry, ...]
    unclaimed: int


def read_header(path: Path) -> GgufHeader:
    """Every key-value and tensor entry, in the order of the file.

    Errors: InputError of one line for whatever is not well-formed, does not lie inside the file or overlaps. Cost:
    about 90 ns for each text of the vocabulary, 5 µs a tensor, 10 MB of memory.
    """
    try:
        with path.open("rb") as file:
            return _header(Cursor(file, path.stat().st_size, str(path)))
    except OSError as error:
        raise InputError(
            f"the file cannot be read: {error.strerror}.", where=str(path), fix="Check the path."
        ) from None


def _header(cursor: Cursor) -> GgufHeader:
    if cursor.size < 24 or cursor.take(4) != MAGIC:
        raise InputError("this is no GGUF file, or only its first bytes.", where=cursor.where, fix=FIX)
    version = cursor.u32()
    if version not in VERSIONS:
        raise _wrong_version(version, cursor.where)
    tensors, keys = cursor.u64(), cursor.u64()
    if keys > MAX_KEYS:
        raise cursor.bad(f"{keys:,} values are announced; possible are {MAX_KEYS:,}")
    check_count(tensors, where=cursor.where, fix=FIX)
    values = read_values(cursor, keys)
    alignment = values.get("general.alignment", DEFAULT_ALIGNMENT)
    if (
        not isinstance(alignment, int)
        or isinstance(alignment, bool)
        or not 1 <= alignment <= MAX_ALIGNMENT
        or alignment & (alignment - 1)
    ):
        raise cursor.bad(f"general.alignment is {str(alignment)[:40]}, not a power of two up to {MAX_ALIGNMENT:,}")
    types = ggml_types(cursor.where)
    listed = [_entry(cursor, alignment, types) for _ in range(tensors)]
    start = -(-cursor.place // alignment) * alignment
    entries = tuple(GgufEntry(name, dtype, shape, start + at, size) for name, dtype, shape, at, size in listed)
    return GgufHeader(version, values, entries, _unclaimed(entries, start, alignment, cursor))


def _wrong_version(version: int, where: str) -> InputError:
    if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
        return InputError(
            "this GGUF file is big-endian, made for another kind of processor.",
            where=where,
            fix="Convert it with gguf_convert_endian.py of llama.cpp.",
        )
    return InputError(
        f"this is GGUF of version {version:,}; versions {VERSIONS[0]} and {VERSIONS[1]} are read.",
        where=where,
        fix="Convert the model again with a current llama.cpp.",
    )


def _entry(cursor: Cursor, alignment: int, types: Mapping[int, GgmlType]) -> tuple[str, str, tuple[int, ...], int, int]:
    """Name, dtype, shape, offset from the start of the data, and size in bytes of the next tensor."""
    name = read_name(cursor, "a tensor")
    dimensions = cursor.u32()
    if dimensions > MAX_DIMENSIONS:
        raise cursor.bad(f"the tensor '{name[:100]}' has {dimensions:,} dimensions; possible are {MAX_DIMENSIONS}")
    innermost_first = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions))
    shape = tuple(reversed(innermost_first))
    number, offset = cursor.u32(), cursor.u64()
    if any(not 1 <= n <= MAX_DIMENSION for n in shape):
        raise cursor.bad(f"the tensor '{name[:100]}' has the impossible shape {str(list(shape))[:80]}")
    if number not in types:
        raise cursor.bad(f"the tensor '{name[:100]}' has the type {number:,}, which is not known")
    kind = types[number]
    if (shape[-1] if shape else 1) % kind.block_elements:
        raise cursor.bad(
            f"the tensor '{name[:100]}' is {kind.name} in rows of {shape[-1] if shape else 1:,} elements, which is no "
            f"multiple of {kind.block_elements}"
        )
    if offset % alignment:
        raise cursor.bad(f"the tensor '{name[:100]}' starts at {offset:,}, which is no multiple of {alignment:,}")
    return name, kind.name, shape, offset, DTYPES[kind.name].nbytes(shape)


def _unclaimed(entries: tuple[GgufEntry, ...], start: int, alignment: int, cursor: Cursor) -> int:
    """The bytes of the data that belong to no tensor and that alignment does not explain. InputError for names that
    occur twice and for ranges that overlap or leave the file."""
    names: set[str] = set()
    for entry in entries:
        if entry.name in names:
            raise cursor.bad(f"the tensor '{entry.name[:100]}' is listed twice")
        names.add(entry.name)
    check_byte_ranges(entries, cursor.size, cursor.where)
    explained = sum(-(-e.nbytes // alignment) * alignment for e in entries)
    return max(0, cursor.size - start - explained) if entries else 0
