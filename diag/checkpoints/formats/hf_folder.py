"""Hugging Face checkpoints: a folder with config.json and weights, whole or in shards, .safetensors or .bin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diag.checkpoints.formats import apr_file, safetensors_file, torch_file
from diag.checkpoints.formats.companions import config_in, tokenizer_in
from diag.checkpoints.formats.sharded import Read, open_index
from diag.checkpoints.reader import OpenedCheckpoint
from diag.errors import InputError

FIX = "Name a weight file, or a folder with config.json and .safetensors files."
INDEX = ".index.json"


def claims(path: Path, head: bytes) -> bool:
    """Any folder, and the index of a sharded checkpoint."""
    return path.is_dir() or path.name.endswith(INDEX)


def open_path(path: Path) -> OpenedCheckpoint:
    """Open the checkpoint of a folder, or the one that an index names. Reads config.json and headers only.

    Where a folder holds several kinds of weights, the first row of KINDS that fits is taken.
    """
    if path.name.endswith(INDEX):
        torch = path.name.endswith(".bin" + INDEX)
        return _sharded(path, "torch" if torch else "safetensors", _READERS["torch" if torch else "safetensors"])
    for kind in KINDS:
        found = sorted(file for file in path.glob(kind.pattern) if file.is_file() and file.name not in NO_WEIGHTS)
        if len(found) > 1:
            names = ", ".join(file.name for file in found[:3])
            says = f"there are {len(found)} {kind.words} ({names})."
            raise InputError(says, where=str(path), fix="Name one of them.")
        if found:
            return kind.open(found[0])
    raise InputError("the folder holds no checkpoint.", where=str(path), fix=FIX)


def open_safetensors(path: Path) -> OpenedCheckpoint:
    """Open one .safetensors file, with config.json beside it if it is there."""
    tensors, notes = safetensors_file.read_header(path)
    return OpenedCheckpoint("safetensors", (path,), tensors, config_in(path.parent), tokenizer_in(path.parent), notes)


def _sharded(index: Path, name: str, read: Read) -> OpenedCheckpoint:
    files, tensors, notes = open_index(index, read)
    return OpenedCheckpoint(name, files, tensors, config_in(index.parent), tokenizer_in(index.parent), notes)


_READERS: dict[str, Read] = {"safetensors": safetensors_file.read_header, "torch": torch_file.read_tensors}
# Files that trainers leave beside weights and that look like them.
NO_WEIGHTS = frozenset({"training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scheduler.bin"})


@dataclass(frozen=True)
class _Kind:
    """A row: which files of a folder, what they are called, how one of them is opened."""

    pattern: str
    words: str
    open: Callable[[Path], OpenedCheckpoint]


KINDS = (
    _Kind("model.safetensors", "weight files", open_safetensors),
    _Kind("*.safetensors" + INDEX, "indexes", partial(_sharded, name="safetensors", read=_READERS["safetensors"])),
    _Kind("*.safetensors", "weight files", open_safetensors),
    _Kind("pytorch_model.bin", "weight files", torch_file.open_file),
    _Kind("*.bin" + INDEX, "indexes", partial(_sharded, name="torch", read=_READERS["torch"])),
    _Kind("*.bin", "weight files", torch_file.open_file),
    _Kind("*.pt", "weight files", torch_file.open_file),
    _Kind("*.pth", "weight files", torch_file.open_file),
    _Kind("*.apr", "weight files", apr_file.open_file),
)
