"""A writer of `.apr` version 2 files, by the layout of the format."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CODES = {"F32": 0, "F16": 1, "BF16": 30, "F64": 3, "I32": 4, "I64": 5, "I8": 6, "U8": 7}


@dataclass(frozen=True)
class Stored:
    """A tensor as it goes into the file; `data` may be empty: a placeholder."""

    code: int
    shape: tuple[int, ...]
    data: bytes


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 64)


def bfloat16(values: np.ndarray) -> bytes:
    """Cut, not rounded: exact for values that are bfloat16 already."""
    return (np.ascontiguousarray(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()


def stored(values: np.ndarray, dtype: str = "F32") -> Stored:
    """An array as one of the plain types."""
    codes = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I32": "<i4", "I64": "<i8", "I8": "i1", "U8": "u1"}
    data = bfloat16(values) if dtype == "BF16" else np.ascontiguousarray(values).astype(codes[dtype]).tobytes()
    return Stored(CODES[dtype], values.shape, data)


def apr(
    tensors: Mapping[str, Stored],
    metadata: Mapping[str, Any] | bytes = b"{}",
    *,
    flags: int = 0x400,
    order: Sequence[str] | None = None,
    version: tuple[int, int] = (2, 0),
) -> bytes:
    """The bytes of a file. `order`: in which the data is written, where it is not that of the index."""
    text = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    offsets, data = {}, b""
    for name in order or sorted(tensors):
        offsets[name] = len(data)
        data += padded(tensors[name].data)
    index = b""
    for name in sorted(tensors):
        t, encoded = tensors[name], name.encode()
        index += struct.pack("<H", len(encoded)) + encoded + struct.pack("<BB", t.code, len(t.shape))
        index += struct.pack(f"<{len(t.shape) + 2}Q", *t.shape, offsets[name], len(t.data))
    index_offset = 64 + len(padded(text))
    data_offset = index_offset + len(padded(index))
    head = b"APR\0" + struct.pack("<BBHIQIQQ", *version, flags, len(tensors), 64, len(text), index_offset, data_offset)
    crc = struct.pack("<I", zlib.crc32(head + b"\0" * 20))
    body = head + crc + b"\0" * 20 + padded(text) + padded(index) + data
    return body + struct.pack("<I", zlib.crc32(body))


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    """With other bytes in the header, whose checksum is made right again."""
    changed = data[:offset] + new + data[offset + len(new) :]
    return changed[:40] + struct.pack("<I", zlib.crc32(changed[:40] + changed[44:64])) + changed[44:]
