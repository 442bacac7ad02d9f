"""Headerless ids: which type they have, judged by the ids themselves.

Source: formats.md, "Token files in the wild": every reading is scored by the share of ids that a tokenizer could have
made, and by what a wrong width leaves behind: its even and odd positions hold different things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from diag.shards.formats.gather import readable
from diag.shards.reader import STORED_DTYPES

PLAUSIBLE_ID = 1 << 20  # no common tokenizer reaches it: the largest have about 260,000 entries
NEGATIVE_ID = -1024  # labels that a loss leaves out are -100

SPOTS = 3  # start, middle, end
SPOT_BYTES = 1 << 18  # 64 Ki ids of u32, at each spot of a single file
LEAST_SPOT_BYTES = 1 << 12
FOLDER_BYTES = 1 << 23  # read in all from the files of a folder, as long as LEAST_SPOT_BYTES allows it

# A wrong reading of real data has a few per cent of plausible ids: 16-bit ids taken in pairs have one only if the
# second is below 16, and these are common punctuation (8 % in GPT-2's ids).
MOST = 0.5
APART = 0.3  # total variation between the even and the odd positions of a reading; noise stays below 0.15
LEAST_PAIRS = 256
LEAST_PAIRS_BYTES = 8_192  # 256 bins need more
SMALL = 16  # the high half of an id below PLAUSIBLE_ID
SURE_BITS, UNSURE_BITS = 0.5, 0.1  # by how much the high byte of 16-bit ids has less entropy than the low one
LEAST_IDS = 512

DECISIVE_BYTES = 1024  # a shorter file does not overrule its name


@dataclass(frozen=True)
class Reading:
    """A type of ids and a byte order."""

    dtype: str
    byte_order: str = "little"

    def __str__(self) -> str:
        return f"{self.dtype} {self.byte_order}"

    @property
    def numpy(self) -> np.dtype[Any]:
        """As NumPy calls it."""
        return np.dtype((">" if self.byte_order == "big" else "<") + STORED_DTYPES[self.dtype])


_U16, _U16_BIG = Reading("u16"), Reading("u16", "big")
_FOUR = (Reading("u32"), Reading("u32", "big"), Reading("i32"), Reading("i32", "big"))
_EIGHT = (Reading("i64"), Reading("i64", "big"))


@dataclass(frozen=True)
class Verdict:
    """What the sampled ids say. survivors: readings that fit, the most likely first. decisive: exactly one fits, and
    there is enough to tell. shares: fraction of plausible ids by reading, but for u16, where any is. bound: below which
    an id is plausible. repeats: for unsigned ids of 2 and 4 bytes, distinct values at (even, odd) positions."""

    survivors: tuple[Reading, ...]
    decisive: bool
    shares: dict[Reading, float] = field(repr=False)
    bound: int
    repeats: dict[int, tuple[int, int]] = field(repr=False)

    def order_of(self, dtype: str) -> Reading:
        """The reading with this type whose byte order fits better."""
        big = Reading(dtype, "big")
        if dtype == "u16":
            return big if _U16_BIG in self.survivors and _U16 not in self.survivors else _U16
        return big if self.shares[big] >= MOST > self.shares[Reading(dtype)] else Reading(dtype)


def sample(path: Path, size: int, files: int = 1) -> bytes:
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


def judge(raw: bytes, vocab_size: int | None = None) -> Verdict:
    """Which readings fit these bytes. vocab_size widens what is plausible. Costs about 40 ms for three full spots."""
    bound = max(PLAUSIBLE_ID, vocab_size or 0)
    shares = {reading: _plausible(raw, reading, bound) for reading in (*_FOUR, *_EIGHT)}
    four, eight = (_fitting(shares, group) for group in (_FOUR, _EIGHT))
    too_narrow = bool(eight) and _apart(raw, 4)
    survivors: list[Reading] = []
    if four and not too_narrow:
        survivors.append(four)
    if len(raw) >= 2 and not too_narrow and not _apart(raw, 2):
        survivors += _sixteen(raw)
    if eight:
        survivors.append(eight)
    decisive = len(survivors) == 1 and len(raw) >= DECISIVE_BYTES
    return Verdict(tuple(survivors), decisive, shares, bound, {width: _repeats(raw, width) for width in (2, 4)})


def _plausible(raw: bytes, reading: Reading, bound: int) -> float:
    stored = reading.numpy
    ids = np.frombuffer(raw, dtype=stored, count=len(raw) // stored.itemsize)
    low = NEGATIVE_ID if stored.kind == "i" else 0
    return float(((ids >= low) & (ids < bound)).mean()) if len(ids) else 0.0


def _fitting(shares: dict[Reading, float], group: Sequence[Reading]) -> Reading | None:
    """The best of readings of one width: a later one must have one id in a hundred more to replace an earlier."""
    best = group[0]
    for reading in group[1:]:
        if shares[reading] > shares[best] + 0.01:
            best = reading
    return best if shares[best] >= MOST else None


def _pairs(raw: bytes, code: str) -> npt.NDArray[Any]:
    width = int(code[-1])
    return np.frombuffer(raw, dtype=code, count=len(raw) // (2 * width) * 2).reshape(-1, 2)


def _repeats(raw: bytes, width: int) -> tuple[int, int]:
    pairs = _pairs(raw, f"<u{width}")
    return len(np.unique(pairs[:, 0])), len(np.unique(pairs[:, 1]))


def _apart(raw: bytes, width: int) -> bool:
    """Whether even and odd positions hold different things, read as unsigned ids of `width` bytes: small values, or
    first or last bytes. Then this is not their width."""
    pairs = _pairs(raw, f"<u{width}")
    if len(pairs) < LEAST_PAIRS:
        return False
    looks = [np.minimum(view, SMALL).astype(np.int64) for view in (pairs, _pairs(raw, f">u{width}"))]
    if len(pairs) >= LEAST_PAIRS_BYTES:
        columns = np.frombuffer(raw, dtype=np.uint8, count=len(pairs) * 2 * width).reshape(-1, 2, width)
        looks += [columns[:, :, 0], columns[:, :, width - 1]]
    return any(_variation(look[:, 0], look[:, 1]) > APART for look in looks)


def _variation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Total variation distance of two samples of equal size with values below 256."""
    return float(np.abs(np.bincount(a, minlength=256) - np.bincount(b, minlength=256)).sum() / (2 * len(a)))


def _sixteen(raw: bytes) -> tuple[Reading, ...]:
    """The byte orders that 16-bit ids can have. Frequent ids are small, so high bytes repeat more than low bytes."""
    columns = np.frombuffer(raw, dtype=np.uint8, count=len(raw) // 2 * 2).reshape(-1, 2)
    if len(columns) < LEAST_IDS:
        return (_U16,)
    first, second = (_entropy_bits(columns[:, side]) for side in (0, 1))
    if second > first + SURE_BITS:
        return (_U16_BIG,)
    return (_U16, _U16_BIG) if first and second > first - UNSURE_BITS else (_U16,)


def _entropy_bits(bytes_: npt.NDArray[np.uint8]) -> float:
    counts = np.bincount(bytes_)
    p = counts[counts > 0] / len(bytes_)
    return float(-(p * np.log2(p)).sum())
