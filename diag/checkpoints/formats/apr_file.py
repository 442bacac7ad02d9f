"""`.apr` version 2: a header with a CRC, JSON metadata, a packed tensor index, the data, a CRC of everything.

Source: aprender, the project that writes it; the layout stands at `Header` and `_entries`. No flag is believed by
itself: every writer sets the row-major flag, some set compression bits and compress nothing, and a tensor may have a
shape and no bytes.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.formats.apr_names import EMBEDDING, HEAD, configuration, hugging_face_name
from diag.checkpoints.formats.byte_ranges import check_byte_ranges
from diag.checkpoints.formats.companions import tokenizer_in
from diag.checkpoints.ggml import ggml_types
from diag.checkpoints.reader import OpenedCheckpoint, TensorInfo
from diag.checkpoints.transforms import Reshaped
from diag.checkpoints.untrusted import check_count, check_length, is_text, json_object
from diag.errors import InputError

NAME = "apr"
MAGIC = b"APR\0"
MAGIC_V1 = b"APRN"
HEADER_BYTES = 64
MAX_NAME_BYTES = 256
MAX_DIMENSIONS = 8
MAX_DIMENSION = 1 << 40
FIX = "Copy or convert the file again."

# Code in the index → name in DTYPES. 8 and 9 are what older files call 128 and 129.
TYPES = {
    0: "F32",
    1: "F16",
    30: "BF16",
    3: "F64",
    4: "I32",
    5: "I64",
    6: "I8",
    7: "U8",
    128: "APR_Q4",
    8: "APR_Q4",
    129: "APR_Q8",
    9: "APR_Q8",
}
GGML_CODES = (12, 14)  # Q4_K and Q6_K, under GGML's own numbers
# Flags that make a file unreadable here, in words, and flags that are only noted: (bit, words).
REFUSED = (
    (0x0004, "the file is encrypted", "Decrypt it with the program that wrote it."),
    (0x0800, "the file says that its matrices are column-major, which the format forbids", FIX),
)
NOTED = ((0x0001, "LZ4"), (0x0002, "ZSTD"))
_TRAINING = re.compile(r"__training__\..*")


class Header(NamedTuple):
    """The first 64 bytes, little-endian; the CRC at 40 covers the others. `<4sBBHIQIQQI20x` in file order."""

    magic: bytes
    major: int
    minor: int
    flags: int
    tensors: int
    metadata_offset: int
    metadata_size: int
    index_offset: int
    data_offset: int
    crc: int


_HEADER = struct.Struct("<4sBBHIQIQQI20x")


@dataclass(frozen=True)
class Entry:
    """One row of the index, as it stands; `offset` counts from the start of the data."""

    name: str
    code: int
    shape: tuple[int, ...]
    offset: int
    size: int


def claims(path: Path, head: bytes) -> bool:
    """By the magic of either version."""
    return head.startswith((MAGIC, MAGIC_V1))


def open_file(path: Path) -> OpenedCheckpoint:
    """Open one file: header, metadata and index are read, no tensor. InputError in one line for whatever is off.

    Cost: the index, and metadata of at most MAX_HEADER_BYTES; milliseconds for real files.
    """
    where, size = str(path), path.stat().st_size
    with path.open("rb") as file:
        header = _header(file.read(HEADER_BYTES), where)
        for bit, says, fix in REFUSED:
            if header.flags & bit:
                raise InputError(f"{says}.", where=where, fix=fix)
        index_bytes = header.data_offset - header.index_offset
        _check_section("metadata", header.metadata_offset, header.metadata_size, size, where)
        _check_section("index", header.index_offset, index_bytes, size, where)
        file.seek(header.metadata_offset)
        raw = file.read(header.metadata_size)
        file.seek(header.index_offset)
        index = file.read(index_bytes)
    metadata = _metadata(raw, where)
    entries = list(_entries(index, header.tensors, where))
    config, notes = configuration(metadata)
    tensors: dict[str, TensorInfo] = {}
    for entry in entries:
        if _TRAINING.fullmatch(entry.name):
            continue
        info = _tensor(entry, header.data_offset, where)
        if info.name in tensors:
            raise InputError(f"the index lists '{info.name[:100]}' twice.", where=where, fix=FIX)
        tensors[info.name] = info
    check_byte_ranges(tensors.values(), size, where)
    skipped = len(entries) - len(tensors)
    if skipped:
        notes += (f"{skipped:,} tensors of the optimiser (__training__.*) were skipped.",)
    notes += tuple(
        f"The {name} flag is set, but every tensor has its uncompressed size: it is not believed."
        for bit, name in NOTED
        if header.flags & bit
    )
    # There is no tie flag: a file that lists an embedding and no head at all is that of a tied model.
    tied = {"tie_word_embeddings": True} if EMBEDDING in tensors and HEAD not in tensors else {}
    return OpenedCheckpoint(
        NAME, (path,), tensors, config | tied, tokenizer_in(path.parent), notes, frozenset(tied), states_tie=False
    )


def footer_matches(path: Path) -> bool:
    """Whether the last four bytes are the CRC32 of all before them. Cost: reads the whole file, about 1 s a GB."""
    size, crc = path.stat().st_size, 0
    with path.open("rb") as file:
        left = size - 4
        while left > 0 and (chunk := file.read(min(left, 1 << 24))):
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
        return size >= HEADER_BYTES + 4 and file.read(4) == crc.to_bytes(4, "little")


def _header(raw: bytes, where: str) -> Header:
    if raw.startswith(MAGIC_V1):
        raise InputError(
            "this is an .apr file of version 1: a classic machine-learning object, no transformer.",
            where=where,
            fix="Give a file of version 2.",
        )
    if not raw.startswith(MAGIC):
        raise InputError("the name ends in .apr, but the file does not start as one.", where=where, fix=FIX)
    if len(raw) < HEADER_BYTES:
        raise InputError(f"the file has {len(raw)} bytes, less than its header.", where=where, fix=FIX)
    header = Header._make(_HEADER.unpack(raw))
    if header.major != 2:
        raise InputError(f"this is .apr version {header.major}; only 2 is known.", where=where, fix=FIX)
    if zlib.crc32(raw[:40] + raw[44:]) != header.crc:
        raise InputError("the header's checksum is wrong: the file is damaged.", where=where, fix=FIX)
    check_count(header.tensors, where=where, fix=FIX)
    return header


def _check_section(what: str, offset: int, length: int, size: int, where: str) -> None:
    if length < 0 or offset < HEADER_BYTES or offset + length > size:
        raise InputError(
            f"the {what} should lie at byte {offset:,} with {length:,} bytes, and the file has {size:,}.",
            where=where,
            fix="It is cut short or damaged; copy it again.",
        )
    check_length(what, length, where=where, fix=FIX)


def _metadata(raw: bytes, where: str) -> dict[str, Any]:
    """The metadata; a key may occur twice and the last wins, and there may be none at all."""
    text = raw.rstrip(b"\0 \n")
    if not text or text == b"null":
        return {}
    return json_object(text, where=where, fix=FIX, last_wins=True)


def _entries(raw: bytes, count: int, where: str) -> Iterator[Entry]:
    """`count` packed entries: u16 length and name, u8 dtype, u8 ndim, u64 × ndim, u64 offset, u64 size."""
    at = 0

    def bad(why: str) -> InputError:
        return InputError(f"the index {why}.", where=where, fix="It is cut short or damaged; copy it again.")

    for number in range(count):
        if at + 2 > len(raw):
            raise bad(f"ends after {number:,} of {count:,} tensors")
        (length,) = struct.unpack_from("<H", raw, at)
        if length > MAX_NAME_BYTES or at + 4 + length > len(raw):
            raise bad(f"gives tensor {number:,} a name of {length:,} bytes")
        try:
            name = raw[at + 2 : at + 2 + length].decode("utf-8")
        except UnicodeDecodeError:
            raise bad(f"gives tensor {number:,} a name that is no UTF-8") from None
        code, ndim = raw[at + 2 + length], raw[at + 3 + length]
        at += 4 + length
        if ndim > MAX_DIMENSIONS:
            raise bad(f"gives '{name[:100]}' {ndim} dimensions")
        if at + 8 * (ndim + 2) > len(raw):
            raise bad(f"ends within '{name[:100]}'")
        *shape, offset, size = struct.unpack_from(f"<{ndim + 2}Q", raw, at)
        at += 8 * (ndim + 2)
        yield Entry(name, code, tuple(shape), offset, size)


def _tensor(entry: Entry, data_offset: int, where: str) -> TensorInfo:
    """One entry, checked by itself."""

    def bad(why: str) -> InputError:
        return InputError(f"the tensor '{entry.name[:100]}' {why}.", where=where, fix=FIX)

    if not is_text(entry.name, MAX_NAME_BYTES) or not entry.name:
        raise bad("has an unusable name")
    if entry.code in GGML_CODES:
        kind = ggml_types(where)[entry.code].name
    elif entry.code in TYPES:
        kind = TYPES[entry.code]
    else:
        raise bad(f"has the unknown type {entry.code}")
    if any(n > MAX_DIMENSION for n in entry.shape):
        raise bad(f"has the impossible shape {str(list(entry.shape))[:80]}")
    nbytes = DTYPES[kind].nbytes(entry.shape)
    # A full shape over no bytes is a placeholder, such as a tied head: kept, so that the audit can name it.
    if entry.size not in (nbytes, 0):
        raise bad(f"takes {entry.size:,} bytes, but {kind} {list(entry.shape)} takes {nbytes:,}")
    name = hugging_face_name(entry.name)
    shape = entry.shape
    flat = (prod(shape),) if name.endswith(".bias") and len(shape) == 2 and shape[0] == 1 else None
    return TensorInfo(
        name,
        kind,
        flat or shape,
        data_offset + entry.offset,
        entry.size,
        stored=entry.name if entry.name != name else "",
        stored_shape=shape if flat else None,
        transform=Reshaped(flat) if flat else None,
    )
