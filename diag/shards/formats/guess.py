"""Headerless ids: the type they have, guessed from the ids themselves.

Every type is scored by the share of ids that a tokenizer could have made. A type of the wrong width also shows itself
by its positions: the even and the odd ones hold different values. All numbers are in results/thresholds_shards.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from diag.reading import readable
from diag.results import thresholds_shards as limits
from diag.shards.reader import STORED_DTYPES

SPOTS = 3  # start, middle, end
SPOT_BYTES = 1 << 18  # 64 Ki ids of u32, at each spot of a single file
LEAST_SPOT_BYTES = 1 << 12
FOLDER_BYTES = 1 << 23  # read in all from the files of a folder, as long as LEAST_SPOT_BYTES allows it


@dataclass(frozen=True)
class IdType:
    """How ids are stored: one of STORED_DTYPES and a byte order."""

    dtype: str
    byte_order: str = "little"

    @classmethod
    def parse(cls, text: str) -> IdType:
        """From what str() gives, such as "u16 little"."""
        return cls(*text.split())

    def __str__(self) -> str:
        return f"{self.dtype} {self.byte_order}"

    @property
    def numpy(self) -> np.dtype[Any]:
        """As NumPy calls it."""
        return np.dtype((">" if self.byte_order == "big" else "<") + STORED_DTYPES[self.dtype])


_U16, _U16_BIG = IdType("u16"), IdType("u16", "big")
_FOUR = (IdType("u32"), IdType("u32", "big"), IdType("i32"), IdType("i32", "big"))
_EIGHT = (IdType("i64"), IdType("i64", "big"))


@dataclass(frozen=True)
class TypeGuess:
    """What the sampled ids say. survivors: types that fit, the most likely first. decisive: exactly one fits, and the
    sample is large enough. shares: fraction of plausible ids for each type except u16, where every id is plausible.
    bound: ids below it are plausible. repeats: distinct values at (even, odd) positions, for unsigned ids of 2 bytes,
    and of 4 where ids of 8 fit."""

    survivors: tuple[IdType, ...]
    decisive: bool
    shares: dict[IdType, float] = field(repr=False)
    bound: int
    repeats: dict[int, tuple[int, int]] = field(repr=False)

    def order_of(self, dtype: str) -> IdType:
        """This type in the byte order that fits better."""
        big = IdType(dtype, "big")
        if dtype == "u16":
            return big if _U16_BIG in self.survivors and _U16 not in self.survivors else _U16
        return (
            big if self.shares[big] >= limits.MIN_PLAUSIBLE_SHARE.value > self.shares[IdType(dtype)] else IdType(dtype)
        )


def sample_bytes(path: Path, size: int, files: int = 1) -> bytes:
    """Bytes from the start, the middle and the end of a file, each from a multiple of 8 on; all of a short file."""
    spot = min(SPOT_BYTES, max(LEAST_SPOT_BYTES, FOLDER_BYTES // (SPOTS * max(1, files)) // 8 * 8))
    with readable(path), path.open("rb") as stream:
        if size <= SPOTS * spot:
            return stream.read(SPOTS * spot)
        parts = []
        for at in (0, size // 2, size - spot):
            stream.seek(at // 8 * 8)
            parts.append(stream.read(spot))
        return b"".join(parts)


def guess_type(raw: bytes, vocab_size: int | None = None) -> TypeGuess:
    """Which types fit these bytes. A large vocab_size raises the bound of plausible ids. Costs about 10 ms for three
    full spots."""
    bound = max(int(limits.PLAUSIBLE_ID.value), vocab_size or 0)
    shares = {id_type: _plausible(raw, id_type, bound) for id_type in (*_FOUR, *_EIGHT)}
    four, eight = (_fitting(shares, group) for group in (_FOUR, _EIGHT))
    too_narrow = bool(eight) and _apart(raw, 4)
    survivors: list[IdType] = []
    if four and not too_narrow:
        survivors.append(four)
    if len(raw) >= 2 and not too_narrow and not _apart(raw, 2):
        survivors += _sixteen(raw)
    if eight:
        survivors.append(eight)
    decisive = len(survivors) == 1 and len(raw) >= limits.DECISIVE_BYTES.value
    halves = (2, 4) if eight else (2,)
    return TypeGuess(tuple(survivors), decisive, shares, bound, {width: _repeats(raw, width) for width in halves})


def _plausible(raw: bytes, id_type: IdType, bound: int) -> float:
    stored = id_type.numpy
    ids = np.frombuffer(raw, dtype=stored, count=len(raw) // stored.itemsize)
    low = int(limits.NEGATIVE_ID.value) if stored.kind == "i" else 0
    return float(((ids >= low) & (ids < bound)).mean()) if len(ids) else 0.0


def _fitting(shares: dict[IdType, float], group: Sequence[IdType]) -> IdType | None:
    """The type of one width that fits best, None if none fits. A later one replaces an earlier one only if its share is
    higher by BETTER_TYPE."""
    best = group[0]
    for id_type in group[1:]:
        if shares[id_type] > shares[best] + limits.BETTER_TYPE.value:
            best = id_type
    return best if shares[best] >= limits.MIN_PLAUSIBLE_SHARE.value else None


def _pairs(raw: bytes, code: str) -> npt.NDArray[Any]:
    width = int(code[-1])
    return np.frombuffer(raw, dtype=code, count=len(raw) // (2 * width) * 2).reshape(-1, 2)


def _repeats(raw: bytes, width: int) -> tuple[int, int]:
    pairs = _pairs(raw, f"<u{width}")
    if width == 2:  # a table instead of a hash: 0.1 ms, not 4
        even, odd = (int(np.count_nonzero(np.bincount(pairs[:, side]))) for side in (0, 1))
        return even, odd
    return len(np.unique(pairs[:, 0])), len(np.unique(pairs[:, 1]))


def _apart(raw: bytes, width: int) -> bool:
    """Whether unsigned ids of `width` bytes differ between even and odd positions, in their small values or in their
    first or last bytes. Then this is not their width."""
    pairs = _pairs(raw, f"<u{width}")
    if len(pairs) < limits.VARIATION_MIN_PAIRS.value:
        return False
    limit = int(limits.HIGH_HALF_LIMIT.value)
    looks = [np.minimum(view, limit).astype(np.int64) for view in (pairs, _pairs(raw, f">u{width}"))]
    if len(pairs) >= limits.VARIATION_MIN_BYTE_PAIRS.value:
        columns = np.frombuffer(raw, dtype=np.uint8, count=len(pairs) * 2 * width).reshape(-1, 2, width)
        looks += [columns[:, :, 0], columns[:, :, width - 1]]
    return any(_variation(look[:, 0], look[:, 1]) > limits.MAX_TOTAL_VARIATION.value for look in looks)


def _variation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Total variation distance of two samples of equal size with values below 256."""
    return float(np.abs(np.bincount(a, minlength=256) - np.bincount(b, minlength=256)).sum() / (2 * len(a)))


def _sixteen(raw: bytes) -> tuple[IdType, ...]:
    """The byte orders that 16-bit ids can have. Frequent ids are small, so high bytes repeat more than low bytes."""
    columns = np.frombuffer(raw, dtype=np.uint8, count=len(raw) // 2 * 2).reshape(-1, 2)
    if len(columns) < limits.BYTE_ORDER_MIN_IDS.value:
        return (_U16,)
    first, second = (_entropy_bits(columns[:, side]) for side in (0, 1))
    if second > first + limits.BYTE_ORDER_SURE.value:
        return (_U16_BIG,)
    return (_U16, _U16_BIG) if first and second > first - limits.BYTE_ORDER_UNSURE.value else (_U16,)


def _entropy_bits(bytes_: npt.NDArray[np.uint8]) -> float:
    counts = np.bincount(bytes_)
    p = counts[counts > 0] / len(bytes_)
    return float(-(p * np.log2(p)).sum())
