"""Element types of weight files, as a table: how many bytes a tensor takes and how they become float32.

A new storage type is one row. In a quantised type `block_elements` elements share `block_bytes` bytes, and a row of the
last dimension is filled up to whole blocks. Names are those of the safetensors specification and of GGML, whose types
come from ggml.py when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from diag.checkpoints.ggml import decoder, ggml_type

Array = np.ndarray[Any, np.dtype[Any]]
Decode = Callable[[Array], Array]


@dataclass(frozen=True)
class DType:
    """One storage type. `decode` takes uint8 [blocks · block_bytes] and gives float32 [blocks · block_elements]; None:
    it cannot be read as numbers. `rows`: whether each row starts a new block; otherwise blocks run through the tensor.
    `whole`: extra bytes at the start of a tensor (a scale for all of it), which must then be decoded in one piece.
    """

    name: str
    block_bytes: int
    decode: Decode | None
    block_elements: int = 1
    rows: bool = True
    whole: int = 0

    @property
    def plain(self) -> bool:
        """Whether every element has bytes of its own, so that any stretch of them can be read."""
        return self.block_elements == 1 and not self.whole

    def blocks(self, shape: Sequence[int]) -> int:
        """Blocks that a tensor of this shape takes."""
        if not self.rows:
            return -(-prod(shape) // self.block_elements)
        width = shape[-1] if shape else 1
        return prod(shape[:-1]) * -(-width // self.block_elements)

    def nbytes(self, shape: Sequence[int]) -> int:
        """Bytes that a tensor of this shape takes."""
        return self.whole + self.blocks(shape) * self.block_bytes

    def floats(self, raw: Array, shape: Sequence[int]) -> Array:
        """float32 of `shape` from uint8 [nbytes(shape)], the padding of rows cut off. Needs `decode`."""
        assert self.decode is not None
        values = self.decode(raw)
        if self.rows and shape and shape[-1] % self.block_elements:
            padded = -(-shape[-1] // self.block_elements) * self.block_elements
            values = values.reshape(-1, padded)[:, : shape[-1]]
        return values.reshape(-1)[: prod(shape)].reshape(shape)


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


def _apr_q4(raw: Array) -> Array:
    """Blocks of 32: a float16 scale, then 16 bytes with the even element in the low half; value = (n − 8) · scale."""
    blocks = raw.reshape(-1, 18)
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)  # [blocks, 1]
    halves = np.stack([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=2).reshape(-1, 32)
    scaled: Array = ((halves.astype(np.float32) - 8.0) * scale).reshape(-1)
    return scaled


def _apr_q8(raw: Array) -> Array:
    """A float32 scale for the whole tensor, then an int8 an element."""
    scaled: Array = raw[4:].view("i1").astype(np.float32) * raw[:4].view("<f4")[0]
    return scaled


def _small_float(exponent: int, mantissa: int) -> Array:
    """float32 [256]: what each byte of an 8-bit float means, sign first. E4M3 has no infinity and one NaN of each sign,
    E5M2 has those of IEEE 754 (Micikevicius et al., FP8 Formats for Deep Learning, 2022)."""
    codes = np.arange(256)
    e, m = (codes >> mantissa) & ((1 << exponent) - 1), codes & ((1 << mantissa) - 1)
    bias, fraction = (1 << exponent - 1) - 1, m / (1 << mantissa)
    values = np.where(e > 0, (1 + fraction) * 2.0 ** (e - bias), fraction * 2.0 ** (1 - bias))
    if mantissa == 2:
        values[e == 31] = np.where(m[e == 31] == 0, np.inf, np.nan)
    else:
        values[codes & 0x7F == 0x7F] = np.nan
    return np.where(codes >> 7, -values, values).astype(np.float32)


# How the bytes of a tensor can be read beside its tag: words for it → float32 of uint8. Each has the width of its type.
READ_AS: dict[str, Decode] = {
    "F32": _as("<f4"),
    "BF16": _bfloat16,
    "F16": _as("<f2"),
    "big-endian F32": _as(">f4"),
    "big-endian BF16": lambda raw: _bfloat16(raw.view("<u2").byteswap().view(np.uint8)),
    "big-endian F16": _as(">f2"),
}


def _power(raw: Array) -> Array:
    """E8M0: a power of two, as the scales of microscaling formats are stored; 255 is NaN."""
    return np.where(raw == 255, np.nan, 2.0 ** (raw.astype(np.float64) - 127)).astype(np.float32)


_E4M3, _E5M2 = _small_float(4, 3), _small_float(5, 2)
# 8-bit floats, and the largest number that each holds: a scale is chosen so that the largest weight becomes that.
EIGHT_BIT_FLOATS = {"F8_E4M3": 448.0, "F8_E5M2": 57_344.0}


class _DTypes(dict[str, DType]):
    """The table by name. Errors of a look-up: KeyError for a name of no type; InputError for one that needs the `gguf`
    package where that is not installed."""

    def __missing__(self, name: str) -> DType:
        kind = ggml_type(name)
        self[name] = DType(kind.name, kind.block_bytes, decoder(kind), kind.block_elements)
        return self[name]


SAFETENSORS_TYPES = {
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
        # Their scales are stored beside them (scales.py); bare, they are read as they are, and the audit says so.
        DType("F8_E4M3", 1, _E4M3.take),
        DType("F8_E5M2", 1, _E5M2.take),
        DType("F8_E8M0", 1, _power),
        DType("C64", 8, None),
    )
}
_APR_TYPES = {
    d.name: d for d in (DType("APR_Q4", 18, _apr_q4, 32, rows=False), DType("APR_Q8", 1, _apr_q8, rows=False, whole=4))
}
DTYPES = _DTypes(SAFETENSORS_TYPES | _APR_TYPES)
