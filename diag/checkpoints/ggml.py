"""The storage types of GGML as a table, and their way to float32 through the `gguf` package.

Numbers, names and sizes: enum ggml_type of ggml.h and the table of sizes of gguf-py. A type the package cannot
dequantise is listed without being readable. The package is imported when the first quantised tensor is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

_Array = np.ndarray[Any, np.dtype[Any]]
PIECE_BYTES = 1 << 18  # dequantised at once: the package holds several temporary arrays of the size of its result


@dataclass(frozen=True)
class GgmlType:
    """A row: the number in the file, GGML's name, and the size of a block in elements and bytes. `readable`: whether
    its blocks can be turned into numbers."""

    number: int
    name: str
    block_elements: int
    block_bytes: int
    readable: bool = True

    @property
    def plain(self) -> bool:
        """Whether every element has bytes of its own; dtypes.py reads those."""
        return self.block_elements == 1


GGML_TYPES: tuple[GgmlType, ...] = (
    GgmlType(0, "F32", 1, 4),
    GgmlType(1, "F16", 1, 2),
    GgmlType(2, "Q4_0", 32, 18),
    GgmlType(3, "Q4_1", 32, 20),
    GgmlType(6, "Q5_0", 32, 22),
    GgmlType(7, "Q5_1", 32, 24),
    GgmlType(8, "Q8_0", 32, 34),
    GgmlType(9, "Q8_1", 32, 40, readable=False),
    GgmlType(10, "Q2_K", 256, 84),
    GgmlType(11, "Q3_K", 256, 110),
    GgmlType(12, "Q4_K", 256, 144),
    GgmlType(13, "Q5_K", 256, 176),
    GgmlType(14, "Q6_K", 256, 210),
    GgmlType(15, "Q8_K", 256, 292, readable=False),
    GgmlType(16, "IQ2_XXS", 256, 66),
    GgmlType(17, "IQ2_XS", 256, 74),
    GgmlType(18, "IQ3_XXS", 256, 98),
    GgmlType(19, "IQ1_S", 256, 50),
    GgmlType(20, "IQ4_NL", 32, 18),
    GgmlType(21, "IQ3_S", 256, 110),
    GgmlType(22, "IQ2_S", 256, 82),
    GgmlType(23, "IQ4_XS", 256, 136),
    GgmlType(24, "I8", 1, 1),
    GgmlType(25, "I16", 1, 2),
    GgmlType(26, "I32", 1, 4),
    GgmlType(27, "I64", 1, 8),
    GgmlType(28, "F64", 1, 8),
    GgmlType(29, "IQ1_M", 256, 56),
    GgmlType(30, "BF16", 1, 2),
    GgmlType(34, "TQ1_0", 256, 54),
    GgmlType(35, "TQ2_0", 256, 66),
    GgmlType(39, "MXFP4", 32, 17),
    GgmlType(40, "NVFP4", 64, 36),
    GgmlType(41, "Q1_0", 128, 18, readable=False),
)
BY_NUMBER = {kind.number: kind for kind in GGML_TYPES}


def decoder(kind: GgmlType) -> Callable[[_Array], _Array] | None:
    """What turns uint8 [blocks · block_bytes] into float32 [blocks · block_elements]; None for a type that cannot be.

    Cost of the result: its own 4 bytes an element plus a few MB, about 5 ns an element, up to 20 for the IQ types.
    """
    if not kind.readable:
        return None

    def decode(raw: _Array) -> _Array:
        from gguf import GGMLQuantizationType, dequantize

        which = GGMLQuantizationType[kind.name]
        blocks = raw.size // kind.block_bytes
        values = np.empty((blocks, kind.block_elements), np.float32)
        step = max(1, PIECE_BYTES // kind.block_bytes)
        with np.errstate(all="ignore"):  # scales of a broken file may be infinite or NaN; the audit counts those
            for first in range(0, blocks, step):
                last = min(blocks, first + step)
                # One row, because the package works through its rows in groups of 16 with a fixed cost for each.
                piece = raw[first * kind.block_bytes : last * kind.block_bytes]
                values[first:last] = dequantize(piece, which).reshape(-1, kind.block_elements)
        return values.reshape(-1)

    return decode
