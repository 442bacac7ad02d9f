"""Files of MosaicML MDS and litdata, which have one frame: u32 n, u32 offsets[n + 1], the samples.

Sources: mosaicml/streaming, base/format/mds (reader.py, encodings.py); Lightning-AI/litdata, streaming (writer.py,
serializers.py, item_loader.py). A sample is a u32 of size for each value whose size is not fixed, then the values.
Files that their writers packed are unpacked as they are read (packed.py), in the child of diag/isolated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from diag import isolated
from diag.errors import InputError
from diag.file_state import FileState, state_of
from diag.isolated.wire import Answer
from diag.shards.formats.columns import Chunk, Columnar, decoding, needs_pyarrow
from diag.shards.formats.gather import GatheredFile
from diag.shards.formats.guess import SPOT_BYTES, SPOTS, IdType, guess_type
from diag.shards.formats.packed import unpacked
from diag.shards.reader import STORED_DTYPES, ShardFile

_FLOATS = "floats"
_PIECE = 1 << 22  # bytes of ids sent together
_SAMPLE = SPOTS * SPOT_BYTES
_U32 = struct.Struct("<I")
# Types of arrays by the numbers that MDS, torch tensors and NumPy arrays in litdata store.
_MDS = {8: "u8", 9: "i8", 16: "u16", 17: "i16", 32: "u32", 33: "i32", 64: "u64", 65: "i64"}
TORCH = {11: "u8", 12: "i8", 13: "i16", 14: "i16", 15: "i32", 16: "i32", 17: "i64", 18: "i64", 20: "u16"}
NUMPY = {0: "i8", 1: "i16", 2: "i32", 3: "i64", 4: "u8", 5: "u16", 6: "u32", 7: "u64"}


@dataclass(frozen=True)
class Layout:
    """How the ids lie in a file. codec: what packed it, None for nothing. fixed: bytes of each value of a sample, None
    where the sample states them; sized: whether it does so at all. at: which value. before: what stands before the ids
    in it: nothing, "shape", "type and shape" (MDS), "torch", "numpy" (litdata). dtype: of the ids, None where that or
    nothing states it."""

    codec: str | None
    fixed: tuple[int | None, ...]
    at: int
    before: str = ""
    dtype: str | None = None
    sized: bool = True


def opened(path: Path, layout: Layout, dtype: str | None) -> GatheredFile:
    """A file of samples. dtype: what is asked for, which decides where nothing states the type. Costs one read of the
    file, once per process. InputError for a damaged file, and where no type of ids fits."""
    needs_pyarrow()
    if not path.is_file():
        raise InputError("The index lists this file, and it is not there.", where=str(path), fix="Copy it again.")
    stated, size, sample = _asked(path, state_of(path), layout)
    if stated is None:
        guess = guess_type(sample)
        little = [each.dtype for each in guess.survivors if each.byte_order == "little"]
        chosen, reason = dtype or next(iter(little), "u32"), "Nothing states the type of the ids: they decide it."
    else:
        chosen, reason = stated, f"Its index or its samples state {stated} ids."
    stored = np.dtype("<" + STORED_DTYPES[chosen])
    if size % stored.itemsize:
        raise InputError(
            f"{size:,} bytes of ids are no whole number of {IdType(chosen).numpy.itemsize}-byte ids.", where=str(path)
        )
    tokens = size // stored.itemsize

    def chunks(first: int, ids: bool) -> Iterator[Chunk]:
        asked = isolated.stream("framed.chunks", str(path), layout=asdict(layout), stored=stored.str, ids=ids)
        for answer in asked:
            yield 0, answer.arrays[0], answer.arrays[1]

    source = Columnar(path, stored, np.array([0, tokens], dtype=np.int64), chunks, lists=True)
    return GatheredFile(ShardFile(path, tokens, source), chosen, offset=None, reasons=(reason,))


@lru_cache(maxsize=4096)
def _asked(path: Path, state: FileState | None, layout: Layout) -> tuple[str | None, int, bytes]:
    """(type that the samples state, bytes of ids, the first of them) as a child found."""
    answers = list(isolated.stream("framed.counted", str(path), layout=asdict(layout)))
    sample = b"".join(answer.arrays[0].tobytes() for answer in answers)
    stated = next((str(answer.values["dtype"]) for answer in answers if answer.values["dtype"]), layout.dtype)
    return stated, sum(int(answer.values["bytes"]) for answer in answers), sample


def counted(path: str, layout: Mapping[str, Any]) -> Iterator[Answer]:
    """In the child: the type that the samples state, bytes of ids, and the first of them."""
    sampled = 0
    types: set[str | None] = set()
    for values, found in _joined(Path(path), Layout(**layout)):
        types.add(found)
        if len(types) > 1 or found == _FLOATS:
            what = "floating-point numbers" if found == _FLOATS else "ids of several types"
            raise InputError(f"Its samples hold {what}.", where=path, fix="Write them as integers of one type.")
        size = sum(len(value) for value in values)
        kept = b"".join(values)[: max(0, _SAMPLE - sampled)]
        sampled += len(kept)
        yield Answer({"bytes": size, "dtype": found}, (np.frombuffer(kept, dtype=np.uint8),))


def chunks(path: str, layout: Mapping[str, Any], stored: str, ids: bool) -> Iterator[Answer]:
    """In the child: the ids, and how many each sample has."""
    width = np.dtype(stored).itemsize
    for values, _ in _joined(Path(path), Layout(**layout)):
        lengths = np.array([len(value) for value in values], dtype=np.int64)
        if (lengths % width).any():
            raise InputError(f"A sample is no whole number of {width}-byte ids.", where=path, fix="Give its --dtype.")
        found = np.frombuffer(b"".join(values) if ids else b"", dtype=stored)
        yield Answer({}, (found, lengths // width))


def _joined(path: Path, layout: Layout) -> Iterator[tuple[list[bytes], str | None]]:
    """The bytes of ids of some samples together, and their type where they state it."""
    waiting: list[bytes] = []
    size, stated = 0, None
    for value, found in _values(path, layout):
        if waiting and (size + len(value) > _PIECE or found != stated):
            yield waiting, stated
            waiting, size = [], 0
        waiting.append(value)
        size, stated = size + len(value), found
    if waiting:
        yield waiting, stated


def _values(path: Path, layout: Layout) -> Iterator[tuple[bytes, str | None]]:
    """(bytes of ids, their type where it stands before them) of each sample."""
    with decoding(path):
        take = _Taking(unpacked(path, layout.codec) if layout.codec else _pieces(path))
        (samples,) = _U32.unpack(take(_U32.size))
        offsets = np.frombuffer(take(4 * (samples + 1)), dtype="<u4").astype(np.int64)
        head = 4 * (samples + 2)
        if int(offsets[0]) < head or (np.diff(offsets) < 0).any():
            raise ValueError("the offsets of its samples lead astray")
        take(int(offsets[0]) - head)  # MDS describes its columns here once more
        for length in np.diff(offsets).tolist():
            yield _ids(take(length), layout)


def _ids(sample: bytes, layout: Layout) -> tuple[bytes, str | None]:
    """Raises ValueError and struct.error for a sample that does not hold what it states."""
    if not layout.sized:
        return sample, None
    at, sizes = 0, []
    for fixed in layout.fixed:
        if fixed is None:
            sizes.append(_U32.unpack_from(sample, at)[0])
            at += _U32.size
        else:
            sizes.append(fixed)
    begin = at + sum(sizes[: layout.at])
    value = sample[begin : begin + sizes[layout.at]]
    if at + sum(sizes) != len(sample):
        raise ValueError("a sample has another size than its values")
    skip, stated = _BEFORE[layout.before](value)
    if skip > len(value):
        raise ValueError("a sample ends before its ids")
    return value[skip:], stated


def _shaped(value: bytes) -> tuple[int, str | None]:
    return 1 + (value[0] >> 2) * (1 << (value[0] & 3)), None  # one byte: dimensions, and the width of each


def _typed(value: bytes) -> tuple[int, str | None]:
    return 1 + _shaped(value[1:])[0], _MDS.get(value[0], _FLOATS)


def _torch(value: bytes) -> tuple[int, str | None]:
    code, rank = struct.unpack_from(">II", value)
    return 8 + 4 * rank, TORCH.get(code, _FLOATS)


def _numpy(value: bytes) -> tuple[int, str | None]:
    code, rank = struct.unpack_from("<II", value)
    return 8 + 4 * rank, NUMPY.get(code, _FLOATS)


_BEFORE = {
    "": lambda value: (0, None),
    "shape": _shaped,
    "type and shape": _typed,
    "torch": _torch,
    "numpy": _numpy,
}


class _Taking:
    """Exactly so many bytes at a time from pieces; EOFError where they end before."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.piece, self.at = pieces, b"", 0

    def __call__(self, count: int) -> bytes:
        parts = []
        while count:
            if self.at == len(self.piece):
                self.piece, self.at = next(self.pieces, b""), 0
                if not self.piece:
                    raise ValueError("it is cut short")
            part = self.piece[self.at : self.at + count]
            self.at += len(part)
            count -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
