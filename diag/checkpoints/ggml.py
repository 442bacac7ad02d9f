"""The storage types of GGML and their way to float32, from the `gguf` package's tables.

The package is an optional extra: it is imported when a file with such types is opened, and its absence is an
InputError that says what to install. A type that the package cannot dequantise is listed without being readable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from diag.extras import require

_Array = np.ndarray[Any, np.dtype[Any]]
PIECE_BYTES = 1 << 18  # dequantised at once: the package holds several temporary arrays of the size of its result


@dataclass(frozen=True)
class GgmlType:
    """One type: GGML's name, and the size of a block in elements and bytes."""

    name: str
    block_elements: int
    block_bytes: int


def gguf_package(where: str = "") -> ModuleType:
    """The `gguf` package; InputError about the file `where` when it is not installed."""
    require("gguf", "Reading GGUF files and GGML's quantised types", where=where)
    import gguf

    return gguf


def ggml_types(where: str = "") -> Mapping[int, GgmlType]:
    """Every type by its number in a file. InputError about the file `where` without the package."""
    gguf_package(where)
    return _types()


@cache
def _types() -> Mapping[int, GgmlType]:
    sizes = gguf_package().GGML_QUANT_SIZES
    return {int(kind): GgmlType(kind.name, elements, nbytes) for kind, (elements, nbytes) in sizes.items()}


def ggml_type(name: str) -> GgmlType:
    """The type of this name. Errors: KeyError for a name that GGML does not have, InputError without the package."""
    for kind in ggml_types().values():
        if kind.name == name:
            return kind
    raise KeyError(name)


def decoder(kind: GgmlType) -> Callable[[_Array], _Array] | None:
    """What turns uint8 [blocks · block_bytes] into float32 [blocks · block_elements]; None for a type that cannot be.

    Cost of the result: its own 4 bytes an element plus a few MB, about 5 ns an element, up to 20 for the IQ types.
    """
    gguf = gguf_package()
    which = gguf.GGMLQuantizationType[kind.name]
    try:
        gguf.dequantize(np.zeros(kind.block_bytes, np.uint8), which)
    except NotImplementedError:
        return None

    def decode(raw: _Array) -> _Array:
        blocks = raw.size // kind.block_bytes
        values = np.empty((blocks, kind.block_elements), np.float32)
        step = max(1, PIECE_BYTES // kind.block_bytes)
        with np.errstate(all="ignore"):  # scales of a broken file may be infinite or NaN; the audit counts those
            for first in range(0, blocks, step):
                last = min(blocks, first + step)
                # One row, because the package works through its rows in groups of 16 with a fixed cost for each.
                piece = raw[first * kind.block_bytes : last * kind.block_bytes]
                values[first:last] = gguf.dequantize(piece, which).reshape(-1, kind.block_elements)
        return values.reshape(-1)

    return decode


# Types that the package reads and cannot write, by one of about the same error per element that it can.
STAND_INS = {"Q4_K": "Q4_1", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "Q8_K": "Q8_0", "IQ4_NL": "Q4_0", "IQ4_XS": "Q4_0"}


def rounded(values: _Array, dtype: str) -> _Array | None:
    """float32 of the same shape after a block type and back; None where the package cannot write the type, or the last
    dimension is no whole number of blocks. Costs about 100 ns an element."""
    package, name = gguf_package(), STAND_INS.get(dtype, dtype)
    kind = getattr(package.GGMLQuantizationType, name, None)
    if kind is None or values.shape[-1] % ggml_type(name).block_elements:
        return None
    try:
        stored = package.quants.quantize(np.ascontiguousarray(values, np.float32), kind)
    except NotImplementedError:
        return None
    found: _Array = package.quants.dequantize(stored, kind).reshape(values.shape).astype(np.float32)
    return found
