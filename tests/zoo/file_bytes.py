"""A safetensors file whose bytes or tags are changed as no library would write them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

Bytes = Callable[[str, bytes], bytes]


def rewrite(
    folder: Path, tag: Callable[[str, str], str] = lambda name, dtype: dtype, change: Bytes | None = None
) -> None:
    """tag(name, dtype) gives the tag to write; change(name, bytes) the bytes, as many as before."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        if change:
            body[begin:end] = change(name, bytes(body[begin:end]))
        entry["dtype"] = tag(name, entry["dtype"])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def swapped(data: bytes) -> bytes:
    """Numbers of two bytes in the other byte order."""
    return np.frombuffer(data, "<u2").byteswap().tobytes()
