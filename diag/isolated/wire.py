"""How parent and child speak: a length, a JSON object, and the bytes of its arrays. No pickle: a child that a file has
broken must not be able to run anything in the parent."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

MAX_OBJECT_BYTES = 64 << 20  # of one JSON object: the texts of a shard's ids are far below
_LENGTH = struct.Struct("<I")
_KINDS = frozenset("iu")  # arrays of whole numbers are all that is sent

Array = npt.NDArray[Any]


class Reads(Protocol):
    """Gives exactly so many bytes, or raises EOFError."""

    def __call__(self, nbytes: int, /) -> bytes | bytearray: ...


@dataclass(frozen=True)
class Answer:
    """What a call yields: values as JSON has them, and arrays of whole numbers, [n] each."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: tuple[Array, ...] = ()


def packed(head: dict[str, Any], arrays: Sequence[Array] = ()) -> list[bytes | memoryview]:
    """The parts of a message, to be written one after the other."""
    flat = [np.ascontiguousarray(array) for array in arrays]
    head = head | {"arrays": [[array.dtype.str, array.size] for array in flat]}
    text = json.dumps(head, ensure_ascii=True, allow_nan=False).encode()
    return [_LENGTH.pack(len(text)), text, *(array.view(np.uint8).data for array in flat if array.size)]


def unpacked(read: Reads, most: int) -> tuple[dict[str, Any], tuple[Array, ...]]:
    """(the object, its arrays) of the next message; its arrays take `most` bytes at most. Errors: EOFError at the end,
    ValueError for what no child of ours writes."""
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    if length > MAX_OBJECT_BYTES:
        raise ValueError(f"an answer of {length:,} bytes")
    head = json.loads(read(length))
    stated = [(np.dtype(str(kind)), int(count)) for kind, count in head["arrays"]]
    sizes = [kind.itemsize * count for kind, count in stated]
    if any(kind.kind not in _KINDS or count < 0 for kind, count in stated) or sum(sizes) > most:
        raise ValueError(f"an answer of {sum(sizes):,} bytes")
    arrays = [np.frombuffer(read(size), kind) for (kind, _), size in zip(stated, sizes, strict=True)]
    return head, tuple(arrays)
