"""A checkpoint that is open for reading: its configuration, its family, and its tensors as bytes or float32.

Nothing is read but headers until somebody asks; nothing is ever written. No torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from diag.checkpoints.config import ModelConfig
from diag.checkpoints.digest import content_digest
from diag.checkpoints.dtypes import DTYPES, READ_AS, Array
from diag.checkpoints.families import Family
from diag.checkpoints.scales import multiply
from diag.checkpoints.transforms import StoredTransform
from diag.errors import InputError
from diag.file_state import States
from diag.reading import bytes_of, shorter
from diag.results import codec

_SAME_STEP = 1 << 22  # bytes compared together
PIECE_ELEMENTS = 1 << 20  # elements held at once while streaming: 4 MiB of float32

Source = Literal["file", "inferred", "default"]
"""Where a value of the configuration comes from: stated, read off names and shapes, or what the family means by
silence."""


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies. `name` and `shape` are those of Hugging Face's code, [out, in] for matrices; `offset` counts
    bytes from the start of the file number `file`; `nbytes` is 0 for a placeholder: an entry, perhaps with a full
    shape, but no data. `stored`, `stored_shape`: the name and shape in the file where they differ. `transform`: what
    is done to the stored tensor to get this one. `scale`: what the stored values are multiplied by."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    file: int = 0
    stored: str = ""
    stored_shape: tuple[int, ...] | None = None
    transform: StoredTransform | None = None
    scale: StoredScale | None = None

    @property
    def elements(self) -> int:
        """Elements with data behind them."""
        return prod(self.shape) if self.nbytes else 0

    @property
    def streams(self) -> bool:
        """Whether any stretch of the buffer can be read by itself: no blocks, no transform, no scale."""
        return DTYPES[self.dtype].plain and not self.changes

    @property
    def changes(self) -> bool:
        """Whether something is done to the stored values: a transform or a scale."""
        return self.transform is not None or self.scale is not None


@dataclass(frozen=True)
class StoredScale:
    """The scale of an 8-bit tensor: the entry of a tensor [R, C], or of one number, and the rows and columns that share
    one of its elements."""

    info: TensorInfo
    block: tuple[int, int]


@dataclass(frozen=True)
class OpenedCheckpoint:
    """What the reader of a format hands over, before anyone asked which model it is.

    tensors: by the names that Hugging Face's code uses, as far as the format's table of names knows them. config: what
    the file states, under the keys of config.json; untrusted. inferred: keys of `config` that the reader worked out.
    notes: harmless oddities, one sentence each. states_tie: whether the format has a place for the tie flag.
    """

    format: str
    files: tuple[Path, ...]
    tensors: dict[str, TensorInfo]
    config: dict[str, Any]
    tokenizer_dir: Path | None = None
    notes: tuple[str, ...] = ()
    inferred: frozenset[str] = frozenset()
    states_tie: bool = True


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """An open checkpoint. `path` is what was asked for, `files` are the weight files, `tensors` is sorted by name.

    family: None for an architecture that the table does not know; then `model` is None too, everything that needs no
    family works, and `config` raises. known: every value that was found, stated or not. sources: where each comes from.
    naming: what was wrong with the names and is put right here, one sentence each; among the notes too.
    states_tie: whether anything could have said that the head is tied. files_read: the weight files and what was read
    beside them, each with its state before it was read.
    """

    path: Path
    format: str
    model: ModelConfig | None
    raw_config: dict[str, Any]
    family: Family | None
    tensors: dict[str, TensorInfo]
    files: tuple[Path, ...]
    declared_architecture: str | None = None
    known: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    tokenizer_dir: Path | None = None
    notes: tuple[str, ...] = ()
    naming: tuple[str, ...] = ()
    states_tie: bool = True
    files_read: States = field(default_factory=dict, repr=False)

    @property
    def config(self) -> ModelConfig:
        """The dimensions of the model. InputError for an architecture that cannot be run."""
        if self.model is None:
            raise InputError(
                f"The architecture {self.declared_architecture or '(none is named)'} is not known, so it cannot be "
                "run; its static audit works.",
                where=str(self.path),
                fix=f"Use `python -m diag checkpoint {self.path}`, or one of the families in docs/checkpoints.md.",
            )
        return self.model

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
        """SHA-256 (hex) over the configuration's content and the digest of every weight file (digest.py).

        It names the content, not the path: equal after copying. Cost: reads every byte once, about 0.35 s per GB;
        remembered in this process for as long as the file's state stays the same (diag/file_state.py).
        """
        digests = [content_digest(file) for file in self.files]
        return hashlib.sha256(codec.canonical({"config": self.raw_config, "weights": digests})).hexdigest()

    def info(self, name: str) -> TensorInfo:
        """The entry of a tensor. Errors: InputError when the file has no such tensor."""
        if name not in self.tensors:
            raise InputError(f"there is no tensor named '{name}'.", where=str(self.path), fix="List the tensors first.")
        return self.tensors[name]

    def raw(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """uint8: the bytes of a tensor as stored, from `start` to `stop`, in memory of their own. Cost: what is asked
        for. InputError where the file became shorter."""
        return self._raw(self.info(name), start, stop)

    def _raw(self, info: TensorInfo, start: int = 0, stop: int | None = None) -> Array:
        stop = info.nbytes if stop is None else min(stop, info.nbytes)
        found = bytes_of(self.files[info.file], info.offset + start, max(0, stop - start))
        if found is None:
            raise shorter(self.files[info.file])
        return found

    def float32(self, name: str, read_as: str | None = None) -> Array:
        """float32 of the tensor's shape, in memory of its own (BF16 is widened without loss): 4 bytes an element and
        about 1 ns each, more where blocks are dequantised. read_as: a row of `READ_AS` of the tag's width, to read the
        bytes as another type. Errors: InputError for a placeholder."""
        info = self.info(name)
        if prod(info.shape) != info.elements:
            raise self._unusable(info, "holds no data")
        self._readable(info)
        stored = info.shape if info.stored_shape is None else info.stored_shape
        raw = self.raw(name)
        values = READ_AS[read_as](raw).reshape(stored) if read_as else DTYPES[info.dtype].floats(raw, stored)
        if info.scale is not None:
            scales = DTYPES[info.scale.info.dtype].floats(self._raw(info.scale.info), info.scale.info.shape)
            multiply(values, scales, info.scale.block)
        return (info.transform.apply(values) if info.transform else values).reshape(info.shape)

    def flat(self, name: str, start: int, stop: int) -> Array:
        """float32 [stop − start]: elements of the row-major buffer. Only for tensors that stream."""
        info = self.info(name)
        width = DTYPES[info.dtype].block_bytes
        stop = min(stop, info.elements)
        return self._decoded(info, start * width, max(0, stop - start) * width, (max(0, stop - start),))

    def row_chunks(self, name: str, columns: int | None = None) -> Iterator[tuple[int, Array]]:
        """(first row, float32 [rows, columns]) over the buffer read as rows of `columns` elements, by default the
        tensor's last dimension. Holds about PIECE_ELEMENTS elements at once, or the whole tensor where a transform,
        or blocks that do not fit those rows, leave no choice."""
        info = self.info(name)
        if not info.elements:
            return
        own = info.shape[-1] if info.shape else 1
        columns = columns or own
        rows, step = info.elements // columns, max(1, PIECE_ELEMENTS // columns)
        kind = DTYPES[info.dtype]
        by_row = not info.changes and not kind.whole and kind.rows and columns == own
        if not by_row and not info.streams:
            whole = self.float32(name).reshape(-1, columns)
            yield from ((first, whole[first : first + step]) for first in range(0, rows, step))
            return
        self._readable(info)
        bytes_a_row = kind.nbytes((columns,))
        for first in range(0, rows, step):
            last = min(rows, first + step)
            yield (
                first,
                self._decoded(info, first * bytes_a_row, (last - first) * bytes_a_row, (last - first, columns)),
            )

    def _decoded(self, info: TensorInfo, start: int, nbytes: int, shape: tuple[int, ...]) -> Array:
        """float32 of `shape` from `nbytes` bytes, `start` bytes into the tensor."""
        self._readable(info)
        return DTYPES[info.dtype].floats(self.raw(info.name, start, start + nbytes), shape)

    def _readable(self, info: TensorInfo) -> None:
        if DTYPES[info.dtype].decode is not None:
            return
        raise InputError(
            f"the tensor '{info.name}' is stored as {info.dtype}, a type that is not read as numbers here.",
            where=str(self.path),
            fix="Write the weights in a float type with the program that made them, and test those.",
        )

    def _unusable(self, info: TensorInfo, why: str) -> InputError:
        return InputError(f"the tensor '{info.name}' {why}.", where=str(self.path), fix="Use a complete checkpoint.")


def same_bytes(here: Checkpoint, mine: str, there: Checkpoint, theirs: str, swapped: str | None = None) -> bool:
    """Whether two tensors hold the same bytes, those of `theirs` turned round in units of the type `swapped` if given.
    Cost: both are read up to the first difference, in pieces."""
    size = here.info(mine).nbytes
    if size != there.info(theirs).nbytes:
        return False
    for at in range(0, size, _SAME_STEP):
        one, other = here.raw(mine, at, at + _SAME_STEP), there.raw(theirs, at, at + _SAME_STEP)
        if not np.array_equal(one, other.view(swapped).byteswap().view(np.uint8) if swapped else other):
            return False
    return True


def projections(checkpoint: Checkpoint, role: str) -> list[str]:
    """Names of the tensors with this role that the file holds, by layer; empty for a role the family lacks."""
    family = checkpoint.family
    if family is None or role not in family.roles:
        return []
    found = family.roles[role]
    layers: Iterable[int | None] = range(checkpoint.config.num_layers) if found.per_layer else (None,)
    return [name for layer in layers if (name := found.tensor(layer)) in checkpoint.tensors]
