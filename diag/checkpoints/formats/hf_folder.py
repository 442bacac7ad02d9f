"""Hugging Face checkpoints: a folder with config.json and weights, whole or in shards, .safetensors or .bin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from diag.checkpoints.formats import safetensors_file, torch_file
from diag.checkpoints.formats.companions import config_in, tokenizer_in
from diag.checkpoints.formats.sharded import Read, open_index
from diag.checkpoints.reader import OpenedCheckpoint
from diag.errors import InputError
from diag.listing import is_trainer_state

FIX = "Name a weight file, or a folder with config.json and .safetensors files."
INDEX = ".index.json"


def claims(path: Path, head: bytes) -> bool:
    """The index of a sharded checkpoint, and a folder that a row of LAYOUTS fits."""
    return path.name.endswith(INDEX) or (path.is_dir() and _layout_of(path) is not None)


def open_path(path: Path) -> OpenedCheckpoint:
    """Open the checkpoint of a folder, or the one that an index names. Reads config.json and headers only.

    Where several rows of LAYOUTS fit a folder, the first is taken.
    """
    if path.name.endswith(INDEX):
        return open_torch_index(path) if path.name.endswith(".bin" + INDEX) else open_safetensors_index(path)
    found = _layout_of(path)
    if found is None:
        raise InputError("the folder holds no checkpoint.", where=str(path), fix=FIX)
    layout, files = found
    return layout.open(only_one(files, layout.words, path))


def open_safetensors(path: Path) -> OpenedCheckpoint:
    """Open one .safetensors file, with config.json beside it if it is there."""
    tensors, notes = safetensors_file.read_header(path)
    return OpenedCheckpoint("safetensors", (path,), tensors, config_in(path.parent), tokenizer_in(path.parent), notes)


def open_safetensors_index(index: Path) -> OpenedCheckpoint:
    """Open the safetensors files that an index names."""
    return _sharded(index, "safetensors", safetensors_file.read_header)


def open_torch_index(index: Path) -> OpenedCheckpoint:
    """Open the PyTorch files that an index names."""
    return _sharded(index, torch_file.NAME, torch_file.read_tensors)


def only_one(files: Sequence[Path], words: str, folder: Path) -> Path:
    """The one of `files`. InputError, which names the first of them, where there are several."""
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:3])
        raise InputError(f"there are {len(files)} {words} ({names}).", where=str(folder), fix="Name one of them.")
    return files[0]


def _sharded(index: Path, name: str, read: Read) -> OpenedCheckpoint:
    files, tensors, notes = open_index(index, read)
    return OpenedCheckpoint(name, files, tensors, config_in(index.parent), tokenizer_in(index.parent), notes)


@dataclass(frozen=True)
class _Layout:
    """A row: which files of a folder, what they are called, how one of them is opened."""

    pattern: str
    words: str
    open: Callable[[Path], OpenedCheckpoint]


LAYOUTS = (
    _Layout("model.safetensors", "weight files", open_safetensors),
    _Layout("*.safetensors" + INDEX, "indexes", open_safetensors_index),
    _Layout("*.safetensors", "weight files", open_safetensors),
    _Layout("pytorch_model.bin", "weight files", torch_file.open_file),
    _Layout("*.bin" + INDEX, "indexes", open_torch_index),
)


def _layout_of(folder: Path) -> tuple[_Layout, list[Path]] | None:
    for layout in LAYOUTS:
        files = sorted(
            file for file in folder.glob(layout.pattern) if file.is_file() and not is_trainer_state(file.name)
        )
        if files:
            return layout, files
    return None
