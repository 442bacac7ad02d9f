"""How far two copies of one tensor may differ because of how they are stored: a table, and the test it gives."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.reader import TensorInfo
from diag.checkpoints.transforms import Plus, StoredTransform
from diag.results.thresholds_checkpoints import ORDINARY_PEAK, QUANTISED_ROUNDING
from diag.units import percent

# Rounding to nearest moves a value by at most 2⁻ᵖ of itself; p is the significant bits of the type (IEEE 754).
SIGNIFICANT_BITS = {"F64": 24, "F32": 24, "F16": 11, "BF16": 8}  # F64 is read as float32
# Below its smallest normal number a float16 has a fixed spacing; half of it is lost.
SMALLEST = {"F16": 2.0**-25}
# The same of 8-bit floats. A scale moves where their smallest numbers lie, so they answer as a tensor.
_EIGHT_BITS = {"F8_E4M3": 4, "F8_E5M2": 3}
# A block quantiser of b bits steps by 2·max/2ᵇ; the step's root mean square error, 1/√12 of it, is about 1.2·2⁻ᵇ of the
# values' own where the largest of a block is 2 times their root mean square. QUANTISED_ROUNDING allows twice that.
_BITS = re.compile(r"(?:IQ|TQ|Q|MXFP|NVFP)([1-8])")


@dataclass(frozen=True)
class Rounding:
    """What rounding explains. relative: of the larger of two elements; absolute: on top, in the tensor's unit. norm:
    of ‖difference‖ / ‖tensor‖, for types whose elements share a scale; None where each element answers for itself.
    words: the rule, for people."""

    relative: float
    absolute: float
    norm: float | None
    words: str

    def outside(self, here: Array, there: Array) -> Array:
        """bool, of the arrays' shape: elements that rounding does not explain. Equal bits never are, NaN included."""
        with np.errstate(invalid="ignore", over="ignore"):
            allowed = self.relative * np.maximum(np.abs(here), np.abs(there)) + self.absolute
            far: Array = ~(np.abs(here - there) <= allowed)
        far &= here.view(np.uint32) != there.view(np.uint32)
        return far


def rounding(here: TensorInfo, there: TensorInfo, peak: float = 0.0) -> Rounding:
    """What the two stored types may do to one tensor, together. peak: the largest |value| over the root mean square."""
    infos = (here, there)
    coarser = max(infos, key=lambda info: _step(info.dtype))
    absolute = sum(_offset(info.transform) * _step(info.dtype) + SMALLEST.get(info.dtype, 0.0) for info in infos)
    bits = [b for info in infos if (b := _quantised_bits(info.dtype))]
    if bits:
        one_scale = any(DTYPES[info.dtype].whole for info in infos)
        norm = sum(QUANTISED_ROUNDING.value * 2.0**-b for b in bits)
        norm *= max(1.0, peak / ORDINARY_PEAK.value) if one_scale else 1.0
        return Rounding(0.0, absolute, norm, f"{coarser.dtype} loses up to {percent(norm)} of a tensor's norm")
    if any(info.dtype in _EIGHT_BITS for info in infos):
        norm = sum(_step(info.dtype) for info in infos)
        return Rounding(0.0, absolute, norm, f"{coarser.dtype} loses up to {percent(norm)} of a tensor's norm")
    relative = sum(_step(info.dtype) for info in infos)
    p = SIGNIFICANT_BITS.get(coarser.dtype)
    words = f"{coarser.dtype} rounds to 2^-{p} of each value" if p else f"{coarser.dtype} does not round"
    return Rounding(relative, absolute, None, words)


def coarsened(values: Array, *dtypes: str) -> Array | None:
    """The values as unsigned whole numbers that are equal when the coarser of the types cannot tell them apart; None
    where one of the types is quantised or no float."""
    if not all(dtype in SIGNIFICANT_BITS for dtype in dtypes):
        return None
    coarser = max(dtypes, key=_step)
    bits = np.ascontiguousarray(values).view(np.uint32)
    if coarser == "F16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).view(np.uint16)
    if coarser == "BF16":  # to nearest, ties to even: half of what is cut off, plus the last bit that stays
        return ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return bits


def _step(dtype: str) -> float:
    bits = _quantised_bits(dtype)
    if bits:
        return 2.0**-bits
    p = SIGNIFICANT_BITS.get(dtype) or _EIGHT_BITS.get(dtype)
    return 2.0**-p if p else 0.0


def _quantised_bits(dtype: str) -> int | None:
    found = _BITS.match(dtype)
    return int(found[1]) if found else None


def _offset(transform: StoredTransform | None) -> float:
    """What was added before the values were rounded: a norm weight stored as 1 + w loses its last bits."""
    return abs(transform.by) if isinstance(transform, Plus) else 0.0
