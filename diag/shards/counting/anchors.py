"""Text that stands twice: digests of windows that start where the content says, so that a copy is found anywhere.

A window of 32 ids starts at each pair of ids whose hash is small. Both copies of a passage hold the same pairs, so both
are sampled at the same places; on a grid they would be only if they lay a multiple of 32 apart. How small the hash must
be grows with the shard (a level halves the sample), and a sample of one level holds that of every higher one: samples
of two shards are compared on the higher of their levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from diag import jit
from diag.shards.reader import Ids

WINDOW = 32  # ids
LONG = 256  # ids: a passage and not a phrase
MOST = 1 << 15  # windows kept of a file, and of a shard: 36 bytes each
LEAST_LEVEL = 3  # one pair in eight
WANTED = 1 << 13  # windows that a file should have

UInt64 = npt.NDArray[np.uint64]
Int64 = npt.NDArray[np.int64]
UInt32 = npt.NDArray[np.uint32]
_FIRST, _SECOND = np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_WEIGHTS = np.random.default_rng(0).integers(0, 1 << 63, LONG, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


@dataclass(frozen=True, eq=False)
class Anchors:
    """Sampled windows in no order. level: pairs are taken whose hash is below 2³²⁻ᴸ. pairs: their hashes, uint32;
    digests: of their windows, uint64; passages: of the LONG ids from there, 0 where the ids end before; files,
    positions: where the window starts, int64; all [windows]."""

    level: int
    pairs: UInt32
    digests: UInt64
    passages: UInt64
    files: Int64
    positions: Int64

    @classmethod
    def empty(cls, level: int = LEAST_LEVEL) -> Anchors:
        """No windows: the neutral element of the sum."""
        places, digests = np.empty(0, np.int64), np.empty(0, np.uint64)
        return cls(level, np.empty(0, np.uint32), digests, digests, places, places)

    def __len__(self) -> int:
        return len(self.digests)

    def __add__(self, other: Anchors) -> Anchors:
        """Both, on the higher level, and on a higher one where they are more than MOST."""
        level = max(self.level, other.level)
        both = (self.at(level), other.at(level))
        joined = Anchors(
            level,
            *(np.concatenate([getattr(one, name) for one in both]) for name in _ARRAYS),
        )
        return joined.within(MOST)

    def at(self, level: int) -> Anchors:
        """The windows that a higher level keeps."""
        if level <= self.level:
            return self
        kept = self.pairs <= _limit(level)
        return Anchors(level, *(getattr(self, name)[kept] for name in _ARRAYS))

    def within(self, most: int) -> Anchors:
        """As many levels up as it takes to hold no more than `most` windows."""
        found = self
        while len(found) > most:
            found = found.at(found.level + 1)
        return found

    def of_file(self, index: int) -> Anchors:
        """The same windows, said to lie in file `index`."""
        return replace(self, files=np.full(len(self), index, np.int64))

    def moved(self, start: int) -> Anchors:
        """The same windows, `start` ids further on."""
        return replace(self, positions=self.positions + start)


_ARRAYS = ("pairs", "digests", "passages", "files", "positions")


def level_for(tokens: int) -> int:
    """The level at which so many ids give about WANTED windows."""
    return max(LEAST_LEVEL, (tokens // WANTED).bit_length())


def anchors_of(ids: Ids, level: int) -> Anchors:
    """The windows of ids in memory, as of file 0. Costs about 1 ns an id where numba is installed, 10 ns where not."""
    if len(ids) < WINDOW:
        return Anchors.empty(level)
    whole = _whole(ids)
    pairs, at = _finder()(whole, _limit(level))
    passages = np.zeros(len(at), np.uint64)
    complete = at + LONG <= len(whole)
    passages[complete] = _digests(whole, at[complete], LONG)
    return Anchors(level, pairs, _digests(whole, at, WINDOW), passages, np.zeros(len(at), np.int64), at)


def joined(samples: Sequence[Anchors], level: int) -> Anchors:
    """Many samples at once: the same as their sum, in one copy."""
    if not samples:
        return Anchors.empty(level)
    level = max(one.level for one in samples)
    parts = [one.at(level) for one in samples]
    return Anchors(level, *(np.concatenate([getattr(p, name) for p in parts]) for name in _ARRAYS)).within(MOST)


def _limit(level: int) -> np.uint32:
    return np.uint32((1 << (32 - min(level, 32))) - 1)


def _whole(ids: Ids) -> npt.NDArray[Any]:
    same = ids.astype(ids.dtype.newbyteorder("="), copy=False)
    same = same.view(f"u{same.dtype.itemsize}") if same.dtype.itemsize > 1 else same.astype(np.uint16)
    same.flags.writeable = False
    return same


def _digests(ids: npt.NDArray[Any], at: Int64, length: int) -> UInt64:
    """Sums of odd random multiples of `length` ids, modulo 2⁶⁴, mixed: few calls, since a piece has few windows."""
    windows = ids[at[:, None] + np.arange(length)].astype(np.uint64)
    found: UInt64 = (windows * _WEIGHTS[:length]).sum(axis=1, dtype=np.uint64)
    found *= _MIX
    return found ^ (found >> np.uint64(29))


@cache
def _finder() -> Callable[[npt.NDArray[Any], np.uint32], tuple[UInt32, Int64]]:
    if not jit.available():
        return _find_with_numpy
    find = jit.compiled(_find)
    return lambda ids, limit: find(ids, limit, _FIRST, _SECOND)


def _find(ids: npt.NDArray[Any], limit: np.uint32, first: np.uint32, second: np.uint32) -> tuple[UInt32, Int64]:
    """Compiled. Hashes of the pairs up to `limit`, and where they stand: not of two equal ids, which are a fill."""
    n, count = len(ids) - 31, 0
    places, hashes = np.empty(1024, np.int64), np.empty(1024, np.uint32)
    for start in range(0, n, 256):
        left, right = ids[start : min(n, start + 256)], ids[start + 1 : min(n, start + 256) + 1]
        lowest = np.uint32(0xFFFFFFFF)
        for i in range(len(left)):  # without a branch, so that eight pairs are looked at at once
            value = np.uint32(np.uint32(left[i]) * first + np.uint32(right[i]) * second)
            value = np.uint32(np.uint32(value ^ (value >> np.uint32(15))) * second)
            lowest = min(lowest, value)
        if lowest > limit:
            continue
        if count + 256 > len(places):
            places = np.concatenate((places, np.empty(len(places), np.int64)))
            hashes = np.concatenate((hashes, np.empty(len(hashes), np.uint32)))
        for i in range(len(left)):
            value = np.uint32(np.uint32(left[i]) * first + np.uint32(right[i]) * second)
            value = np.uint32(np.uint32(value ^ (value >> np.uint32(15))) * second)
            if value <= limit and left[i] != right[i]:
                places[count] = start + i
                hashes[count] = value
                count += 1
    return hashes[:count].copy(), places[:count].copy()


def _find_with_numpy(ids: npt.NDArray[Any], limit: np.uint32) -> tuple[UInt32, Int64]:
    n = len(ids) - WINDOW + 1
    hashes, places = [], []
    for start in range(0, n, 1 << 19):
        stop = min(n, start + (1 << 19))
        a, b = ids[start:stop].astype(np.uint32), ids[start + 1 : stop + 1].astype(np.uint32)
        value = a * _FIRST + b * _SECOND
        value = (value ^ (value >> np.uint32(15))) * _SECOND
        kept = np.flatnonzero((value <= limit) & (ids[start:stop] != ids[start + 1 : stop + 1]))
        hashes.append(value[kept])
        places.append(kept + start)
    return np.concatenate(hashes), np.concatenate(places).astype(np.int64)
