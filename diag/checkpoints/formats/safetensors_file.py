"""The safetensors header, read with bounds: u64 length, a JSON object, then the data. No tensor is touched.

Format: https://github.com/huggingface/safetensors#format. Stricter than needed where a lie could hurt (overlap, sizes,
duplicate keys), more lenient where people's files are odd but harmless (holes, trailing bytes, empty placeholders).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from diag.checkpoints.dtypes import SAFETENSORS_TYPES
from diag.checkpoints.formats.byte_ranges import check_byte_ranges
from diag.checkpoints.reader import TensorInfo
from diag.checkpoints.untrusted import check_count, check_length, is_text, json_object
from diag.errors import InputError
from diag.foreign import refuse

MAX_DIMENSIONS = 8
MAX_DIMENSION = 1 << 40
FIX = "Copy or convert the file again."


def claims(path: Path, head: bytes) -> bool:
    """By a brace at byte 8, whatever the length before it reads as (640 looks like a pickle)."""
    return head[8:9] == b"{"


def read_header(path: Path) -> tuple[dict[str, TensorInfo], tuple[str, ...]]:
    """Every tensor of the file, sorted by name, with absolute byte offsets; and notes about harmless oddities.

    Errors: InputError of one line for whatever is not a well-formed file. Cost: the header only, 2 s and 0.3 GB for
    the largest one accepted, milliseconds for real ones.
    """
    where = str(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(9)
            if not claims(path, head):
                refuse(path)
            length = struct.unpack("<Q", head[:8].ljust(8, b"\0"))[0]
            if size < 8 or length > size - 8:
                raise InputError(
                    f"the file has {size:,} bytes, and its header alone should take {8 + length:,}.",
                    where=where,
                    fix="It is cut short or no safetensors file; copy it again.",
                )
            check_length("header", length, where=where, fix=FIX)
            file.seek(8)
            header = json_object(file.read(length), where=where, fix=FIX)
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}.", where=where, fix="Check the path.") from None
    header.pop("__metadata__", None)
    check_count(len(header), where=where, fix=FIX)
    start = 8 + length
    tensors = {name: _entry(name, header[name], start, where) for name in sorted(header)}
    unclaimed = size - start - check_byte_ranges(tensors.values(), size, where)
    return tensors, ((f"{unclaimed:,} bytes of the file belong to no tensor.",) if unclaimed else ())


def _entry(name: str, entry: Any, start: int, where: str) -> TensorInfo:
    """One header entry, checked on its own."""

    def bad(why: str) -> InputError:
        return InputError(f"the entry '{name[:100]}' {why}.", where=where, fix=FIX)

    if not is_text(name, 1000):
        raise bad("has an unusable name")
    if not isinstance(entry, dict):
        raise bad("is not an object")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in SAFETENSORS_TYPES:
        raise bad(f"has the unknown dtype {str(dtype)[:40]!r}")
    if (
        not isinstance(shape, list)
        or len(shape) > MAX_DIMENSIONS
        or not all(_is_count(n, MAX_DIMENSION) for n in shape)
    ):
        raise bad(f"has the impossible shape {str(shape)[:60]}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_count(n, 1 << 63) for n in offsets):
        raise bad(f"has impossible data_offsets {str(offsets)[:60]}")
    begin, end = offsets
    nbytes = SAFETENSORS_TYPES[dtype].nbytes(shape)
    # A full shape over an empty range is a placeholder (aprender #2309): kept, so that the audit can name it.
    if begin > end or end - begin not in (nbytes, 0):
        raise bad(f"spans {end - begin:,} bytes, but {dtype} {shape} takes {nbytes:,}")
    return TensorInfo(name, dtype, tuple(shape), start + begin, end - begin)


def _is_count(value: Any, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limit
