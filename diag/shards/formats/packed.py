"""Headerless ids in a `.bin` that gzip, zstd or lz4 packed, under any name.

pyarrow unpacks them in the child of diag/isolated, a piece at a time: memory for one piece, and no file. What comes out
is bounded by the size of the file (max_expansion) and in all (max_unpacked_mb).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from diag import isolated, limits
from diag.errors import InputError
from diag.file_state import FileState, state_of
from diag.isolated.wire import Answer
from diag.settings import limit
from diag.shards.formats import headerless, llmc
from diag.shards.formats.columns import Bound, Chunk, Columnar, decoding, needs_pyarrow, pyarrow
from diag.shards.formats.foreign_files import HEAD_BYTES, read_head, refuse_content, refuse_text, token_format
from diag.shards.formats.gather import with_suffix
from diag.shards.formats.guess import SPOT_BYTES, SPOTS
from diag.shards.reader import Source, TokenDataset

NAME = "packed"
ZSTD, LZ4 = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
SUFFIXES = (".bin.gz", ".bin.zst", ".bin.zstd", ".bin.lz4")
_GZIP = b"\x1f\x8b\x08"
_PIECE = 1 << 22  # bytes unpacked at a time
_SAMPLE = SPOTS * SPOT_BYTES


def codec_of(head: bytes) -> str | None:
    """What packed a file that starts so; None for any other. Three bytes of gzip may be ids, so its start is tried."""
    if head.startswith(ZSTD):
        return "zstd"
    if head.startswith(LZ4):
        return "lz4"
    if head.startswith(_GZIP):
        try:
            zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
        except zlib.error:
            return None
        return "gzip"
    return None


def claims(path: Path, head: bytes) -> bool:
    """By the first bytes; a folder by those of its first `.bin` that is not empty, or without one by the suffixes."""
    return bool(_listed(path)) if path.is_dir() else codec_of(head) is not None


def open_files(path: Path, dtype: str | None) -> TokenDataset:
    """Open one file, or those of a folder in lexical order. Costs the unpacking of all, about 500 MB a second, once per
    process; reading from the middle costs that of what lies before. InputError where something else is packed."""
    needs_pyarrow()
    paths = _listed(path) if path.is_dir() else [path]
    return headerless.open_all(path, NAME, paths, dtype, favourite="u32", contents=_contents)


def _listed(folder: Path) -> list[Path]:
    bins = with_suffix(folder, ".bin")
    heads = (read_head(each) for each in bins if each.is_file())
    if bins:
        return bins if codec_of(next((head for head in heads if head), b"")) else []
    return sorted(each for suffix in SUFFIXES for each in with_suffix(folder, suffix))


def _contents(path: Path, files: int, dtype: str | None) -> headerless.Contents:
    head = read_head(path)
    if head and codec_of(head) is None:
        raise InputError("This is not packed, and the files around it are.", where=str(path), fix="Open it by itself.")
    size, sample = _asked(path, state_of(path)) if head else (0, b"")
    inside = "An llm.c token file" if llmc.type_by(sample[:HEAD_BYTES], size) else token_format(sample[:HEAD_BYTES])
    if inside and dtype != "u8":
        raise InputError(f"{inside} is packed in it.", where=str(path), fix="Unpack it first.")
    if dtype != "u8":
        refuse_content(path, sample[:HEAD_BYTES])
        refuse_text(path, sample[:HEAD_BYTES], dtype)
    return headerless.Contents(size, sample, partial(_source, path))


@lru_cache(maxsize=4096)
def _asked(path: Path, state: FileState | None) -> tuple[int, bytes]:
    """(bytes when unpacked, the first of them) as a child found. `state` makes a changed file another one."""
    first, *more = isolated.stream("packed.counted", str(path))
    return first.values["bytes"] + sum(each.values["bytes"] for each in more), first.arrays[0].tobytes()


def _source(path: Path, stored: np.dtype[Any], tokens: int, lengths: object) -> Source:
    def chunks(first: int, ids: bool) -> Iterator[Chunk]:
        for answer in isolated.stream("packed.chunks", str(path), stored=stored.str):
            (found,) = answer.arrays
            yield 0, found, np.array([len(found)], dtype=np.int64)

    return Columnar(path, stored, np.array([0, tokens], dtype=np.int64), chunks, lists=False)


def counted(path: str) -> Iterator[Answer]:
    """In the child: the first bytes, and how many there are, a piece at a time."""
    for number, piece in enumerate(unpacked(Path(path))):
        sample = piece[:_SAMPLE] if not number else b""
        yield Answer({"bytes": len(piece)}, (np.frombuffer(sample, dtype=np.uint8),))


def chunks(path: str, stored: str) -> Iterator[Answer]:
    """In the child: the ids, in pieces; bytes at the end that are no whole id are left out."""
    width = np.dtype(stored).itemsize
    for piece in unpacked(Path(path)):
        yield Answer({}, (np.frombuffer(piece, dtype=stored, count=len(piece) // width),))


def _stream(path: Path, codec: str | None, bound: Bound) -> Any:
    """What is packed, as a file to read. Snappy, which MDS can be packed by, has no streams: it is unpacked whole."""
    arrow = pyarrow()
    if codec != "snappy":
        return arrow.CompressedInputStream(arrow.OSFile(str(path), "rb"), codec)
    raw = path.read_bytes()
    size, shift = 0, 0
    for byte in raw[:5]:  # its first number: seven bits of the size in each byte, the lowest first
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > bound.left:
        bound.take(size)
    return arrow.BufferReader(arrow.Codec("snappy").decompress(raw, decompressed_size=size))


def unpacked(path: Path, codec: str | None = None) -> Iterator[bytes]:
    """The content, in pieces of _PIECE bytes, the last shorter; InputError for what cannot be unpacked, or takes more
    than max_expansion times the size of the file or more than max_unpacked_mb."""
    bound, most, done = Bound.of(path), limit(limits.MAX_UNPACKED_MB) << 20, 0
    with decoding(path), _stream(path, codec or codec_of(read_head(path)), bound) as stream:
        while piece := stream.read(_PIECE):
            while len(piece) < _PIECE and (more := stream.read(_PIECE - len(piece))):
                piece += more  # a stream of several frames gives one at a time
            bound.take(len(piece))
            done += len(piece)
            if done > most:
                raise InputError(
                    f"This file unpacks to more than {most >> 20:,} MiB.",
                    where=str(path),
                    fix=limits.MAX_UNPACKED_MB.more("Split it."),
                )
            yield piece
