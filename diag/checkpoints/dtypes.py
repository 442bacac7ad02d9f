"""Element types of weight files, as a table: how many bytes an element takes and how it becomes float32.

A new storage type is one row. Quantised blocks fit too: `block_elements` elements share `block_bytes` bytes.
Names are those of the safetensors specification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Decode = Callable[[Array], Array]


@dataclass(frozen=True)
class DType:
    """One storage type. `decode` takes uint8 [nbytes] and gives float32 [elements]; None: cannot be read as numbers."""

    name: str
    block_bytes: int
    decode: Decode | None
    block_elements: int = 1

    def nbytes(self, elements: int) -> int:
        """Bytes that `elements` elements take."""
        return -(-elements // self.block_elements) * self.block_bytes


def _as(stored: str) -> Decode:
    def decode(raw: Array) -> Array:
        with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf and is counted as non-finite
            return raw.view(stored).astype(np.float32, copy=False)

    return decode


def _bfloat16(raw: Array) -> Array:
    """bfloat16 is the upper half of a float32: widening is a shift and loses nothing."""
    wide = raw.view("<u2").astype("<u4")
    wide <<= 16
    return wide.view(np.float32)


DTYPES: dict[str, DType] = {
    d.name: d
    for d in (
        DType("F64", 8, _as("<f8")),
        DType("F32", 4, _as("<f4")),
        DType("F16", 2, _as("<f2")),
        DType("BF16", 2, _bfloat16),
        DType("I64", 8, _as("<i8")),
        DType("I32", 4, _as("<i4")),
        DType("I16", 2, _as("<i2")),
        DType("I8", 1, _as("i1")),
        DType("U64", 8, _as("<u8")),
        DType("U32", 4, _as("<u4")),
        DType("U16", 2, _as("<u2")),
        DType("U8", 1, _as("u1")),
        DType("BOOL", 1, _as("u1")),
        # Eight-bit floats come with scales stored elsewhere; the bare numbers would mislead.
        DType("F8_E4M3", 1, None),
        DType("F8_E5M2", 1, None),
    )
}
