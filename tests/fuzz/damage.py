"""Damage to a file: bits, bytes, extreme integers, digits, cuts, repeated and moved stretches, stretches of another."""

from __future__ import annotations

import random
import struct
import zlib

EXTREMES = (0, 1, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
TEXTS = (
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"[[[[",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\0",
    b"../x",
)
HEAD, TAIL = 4096, 256  # headers, and what some formats keep at the end


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One to four changes, most of them in the first 4 KB or the last 256 bytes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _change(changed, rng)
    if changed[:4] == b"APR\0" and len(changed) >= 64 and rng.random() < 0.5:
        # A checksum that is right again lets through to what lies behind it.
        changed[40:44] = struct.pack("<I", zlib.crc32(changed[:40] + changed[44:64]))
    return bytes(changed)


def _place(size: int, rng: random.Random) -> int:
    where = rng.random()
    if where < 0.3:
        return rng.randrange(min(size, 64))
    if where < 0.65:
        return rng.randrange(min(size, HEAD))
    return size - 1 - rng.randrange(min(size, TAIL)) if where < 0.85 else rng.randrange(size)


def _change(data: bytearray, rng: random.Random) -> None:
    if not data:
        return
    at, kind = _place(len(data), rng), rng.randrange(9)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        width = rng.choice((1, 2, 4, 8))
        data[at : at + width] = (rng.choice(EXTREMES) & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    elif kind == 2 and rng.random() < 0.3:
        del data[at:]
    elif kind == 3:
        start = rng.randrange(len(data))
        data[at:at] = data[start : start + rng.randrange(1, 40)] * rng.choice((1, 1, 1, 200))
    elif kind == 4:
        del data[at : at + rng.randrange(1, 20)]
    elif kind == 5:
        data[at : at + rng.choice((0, 1, 3))] = str(rng.choice(EXTREMES)).encode()
    elif kind == 6:
        data[at : at + 4] = rng.randbytes(4)
    elif kind == 7:
        data[at : at + rng.choice((0, 1, 4))] = rng.choice(TEXTS)
    else:
        data[at : at + 8] = data[rng.randrange(len(data)) :][:8]
