"""Safetensors files written tensor by tensor: whole in one file, or in shards with an index as transformers has them.

Format: https://github.com/huggingface/safetensors#format. A header stands before the data and holds every type, which
is known only once a tensor was made; so room is left for it, and what is left of the room are spaces.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from io import BufferedWriter
from math import prod
from pathlib import Path
from typing import Any

from diag.checkpoints.dtypes import Array

SHARD_BYTES = 5_000_000_000
_WIDEST = 10**18  # no offset has more digits


class SafetensorsOut:
    """Writes tensors into `folder` in the order in which they come. names, shapes: of all that will come, so that each
    file has room for its header. digests: SHA-256 of the bytes of each tensor that `keep` names."""

    def __init__(self, folder: Path, shapes: Mapping[str, Sequence[int]], keep: Iterable[str] = ()) -> None:
        self.folder, self._left = folder, dict(shapes)
        self._keep, self.digests = set(keep), dict[str, str]()
        self._files: list[Path] = []
        self._where: dict[str, Path] = {}
        self._out: BufferedWriter | None = None
        self._header: dict[str, Any] = {}
        self._room = self._size = self.total = 0

    def add(self, name: str, dtype: str, shape: Sequence[int], pieces: Iterable[Array]) -> None:
        """Write one tensor. pieces: uint8, contiguous, end to end its little-endian bytes."""
        if self._out is None or (self._size and self._size + _bytes(shape) > SHARD_BYTES):
            self._next()
        assert self._out is not None
        start, digest = self._size, hashlib.sha256() if name in self._keep else None
        for piece in pieces:
            self._out.write(piece.data)
            self._size += piece.nbytes
            if digest:
                digest.update(piece.data)
        if digest:
            self.digests[name] = digest.hexdigest()
        self._header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, self._size]}
        self._where[name] = self._files[-1]
        self.total += self._size - start
        self._left.pop(name, None)

    def close(self) -> tuple[Path, ...]:
        """Finish the last file and give all of them their names. Returns the files, the index last."""
        self._finish()
        if len(self._files) == 1:
            only = self._files[0].rename(self.folder / "model.safetensors")
            return (only,)
        names = {file: f"model-{i:05}-of-{len(self._files):05}.safetensors" for i, file in enumerate(self._files, 1)}
        for file, name in names.items():
            file.rename(self.folder / name)
        weight_map = {tensor: names[file] for tensor, file in self._where.items()}
        index = self.folder / "model.safetensors.index.json"
        index.write_text(
            json.dumps({"metadata": {"total_size": self.total}, "weight_map": weight_map}, indent=1) + "\n"
        )
        return (*(self.folder / name for name in names.values()), index)

    def _next(self) -> None:
        self._finish()
        entries = {
            name: {"dtype": "F8_E4M3", "shape": list(shape), "data_offsets": [_WIDEST, _WIDEST]}
            for name, shape in self._left.items()
        }
        self._room = len(_text(entries)) + 7 & ~7
        self._files.append(self.folder / f"part-{len(self._files)}.safetensors")
        self._header, self._size = {}, 0
        self._out = self._files[-1].open("xb")
        self._out.write(struct.pack("<Q", self._room) + b" " * self._room)

    def _finish(self) -> None:
        if self._out is None:
            return
        text = _text(self._header)
        self._out.seek(8)
        self._out.write(text + b" " * (self._room - len(text)))
        self._out.flush()
        os.fsync(self._out.fileno())
        self._out.close()
        self._out = None


def _text(entries: dict[str, Any]) -> bytes:
    return json.dumps({"__metadata__": {"format": "pt"}, **entries}, separators=(",", ":")).encode()


def _bytes(shape: Sequence[int]) -> int:
    """At most: every type that is written has four bytes or fewer, but float64."""
    return 4 * prod(shape)
