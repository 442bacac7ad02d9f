"""A checkpoint that is open for reading: its configuration, its family, and its tensors as bytes or float32.

Nothing is read but the header until somebody asks; nothing is ever written. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from diag import jsonio
from diag.checkpoints.config import ModelConfig
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.families import Family
from diag.errors import InputError

PIECE_ELEMENTS = 1 << 20  # elements held at once while streaming: 4 MiB of float32
_HASH_CHUNK = 1 << 24


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies. `shape` is [out, in] for matrices; `offset` counts bytes from the start of the file
    number `file`; `nbytes` is 0 for a placeholder: an entry, perhaps with a full shape, but no data."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    file: int = 0

    @property
    def elements(self) -> int:
        """Elements with data behind them."""
        return prod(self.shape) if self.nbytes else 0


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """An open checkpoint. `path` is what was asked for, `files` are the weight files, `tensors` is sorted by name."""

    path: Path
    format: str
    config: ModelConfig
    raw_config: dict[str, Any]
    family: Family | None
    tensors: dict[str, TensorInfo]
    files: tuple[Path, ...]
    tokenizer_dir: Path | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def bytes(self) -> int:
        """Size of the weight files, headers included."""
        return sum(file.stat().st_size for file in self.files)

    @cached_property
    def parameters(self) -> int:
        """Elements that the file really holds; a tied head counts once, a placeholder not at all."""
        return sum(info.elements for info in self.tensors.values())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over config.json's content and the SHA-256 of every weight file.

        It names the content, not the path: equal after copying. Cost: reads every byte once, about 1 s per GB;
        remembered in this process for as long as path, size and modification time stay the same.
        """
        digests = []
        for file in self.files:
            stat = file.stat()
            digests.append(_sha256(file, stat.st_size, stat.st_mtime_ns))
        return hashlib.sha256(jsonio.canonical({"config": self.raw_config, "weights": digests})).hexdigest()

    def info(self, name: str) -> TensorInfo:
        """The entry of a tensor. Errors: InputError when the file has no such tensor."""
        if name not in self.tensors:
            raise InputError(f"there is no tensor named '{name}'.", where=str(self.path), fix="List the tensors first.")
        return self.tensors[name]

    def raw(self, name: str) -> Array:
        """uint8 [nbytes], read-only, mapped from the file: no copy, pages are read when touched."""
        info = self.info(name)
        mapped = self._maps[info.file]
        if info.offset + info.nbytes > mapped.size:
            raise _changed(self.files[info.file])
        view: Array = mapped[info.offset : info.offset + info.nbytes]
        return view

    def float32(self, name: str) -> Array:
        """float32 of the tensor's shape. F32 is a read-only view of the file; anything else is a new array (BF16 is
        widened without loss): 4 bytes an element and about 1 ns each. Errors: InputError for a placeholder."""
        info = self.info(name)
        if prod(info.shape) != info.elements:
            raise self._unusable(info, "holds no data")
        return self._decode(info, self.raw(name)).reshape(info.shape)

    def flat(self, name: str, start: int, stop: int) -> Array:
        """float32 [stop − start]: elements of the row-major buffer, read (not mapped), so memory stays bounded and
        a file cut short meanwhile gives an InputError. Only for types without blocks."""
        info = self.info(name)
        width = DTYPES[info.dtype].block_bytes
        stop = min(stop, info.elements)
        with self.files[info.file].open("rb") as file:
            file.seek(info.offset + start * width)
            data = file.read(max(0, stop - start) * width)
        if len(data) != max(0, stop - start) * width:
            raise _changed(self.files[info.file])
        return self._decode(info, np.frombuffer(data, np.uint8))

    def row_chunks(self, name: str, columns: int | None = None) -> Iterator[tuple[int, Array]]:
        """(first row, float32 [rows, columns]) over the buffer read as rows of `columns` elements, by default the
        tensor's last dimension. Holds about PIECE_ELEMENTS elements at once."""
        info = self.info(name)
        if not info.elements:
            return
        columns = columns or (info.shape[-1] if info.shape else 1)
        rows, step = info.elements // columns, max(1, PIECE_ELEMENTS // columns)
        for first in range(0, rows, step):
            last = min(rows, first + step)
            yield first, self.flat(name, first * columns, last * columns).reshape(-1, columns)

    @cached_property
    def _maps(self) -> tuple[Array, ...]:
        return tuple(np.memmap(file, dtype=np.uint8, mode="r") for file in self.files)

    def _decode(self, info: TensorInfo, raw: Array) -> Array:
        decode = DTYPES[info.dtype].decode
        if decode is None:
            raise self._unusable(info, f"is stored as {info.dtype}, which is not read as numbers")
        return decode(raw)

    def _unusable(self, info: TensorInfo, why: str) -> InputError:
        return InputError(f"the tensor '{info.name}' {why}.", where=str(self.path), fix="Use a complete checkpoint.")


def _changed(file: Path) -> InputError:
    return InputError("the file became shorter while it was open.", where=str(file), fix="Open it again.")


@lru_cache(maxsize=256)
def _sha256(file: Path, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file; size and modification time are there to key the cache."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_HASH_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
