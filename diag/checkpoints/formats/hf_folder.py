"""Hugging Face checkpoints: config.json beside .safetensors files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diag.checkpoints.formats.safetensors_file import read_header
from diag.checkpoints.reader import Opened
from diag.checkpoints.untrusted import json_object
from diag.errors import InputError

MAX_CONFIG_BYTES = 10_000_000
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")
USE_SAFETENSORS = "Give a folder with config.json and one .safetensors file."

# What other weight files look like: the name of the format, its first bytes, its file names.
OTHER_FORMATS: tuple[tuple[str, bytes | None, tuple[str, ...]], ...] = (
    ("a sharded safetensors checkpoint", None, ("*.safetensors.index.json",)),
    ("an APR file of version 2", b"APR\0", ("*.apr",)),
    ("an APR file of version 1, a classic-ML object and no transformer", b"APRN", ()),
    ("a PyTorch archive", b"PK\x03\x04", ("pytorch_model*.bin", "*.pt", "*.pth")),
    ("a pickle, which could run code", b"\x80\x02", ()),
)


def claims(path: Path, head: bytes) -> bool:
    """Any folder."""
    return path.is_dir()


def open_folder(path: Path) -> Opened:
    """Open a folder with config.json and weights. Reads config.json and headers only."""
    return open_file(_weights_in(path))


def open_file(path: Path) -> Opened:
    """Open a .safetensors file with config.json beside it."""
    folder = path.parent
    raw = read_config(folder / "config.json")
    tensors, notes = read_header(path)
    return Opened("safetensors", (path,), tensors, raw, tokenizer_in(folder), notes)


def tokenizer_in(folder: Path) -> Path | None:
    """The folder, if it holds a tokenizer."""
    return folder if any((folder / name).is_file() for name in TOKENIZER_FILES) else None


def _weights_in(folder: Path) -> Path:
    """The one .safetensors file of a folder: model.safetensors, or the only one there."""
    if (folder / "model.safetensors").is_file():
        return folder / "model.safetensors"
    found = sorted(file for file in folder.glob("*.safetensors") if file.is_file())
    sharded = next(folder.glob("*.safetensors.index.json"), None) is not None
    if len(found) == 1 and not sharded:
        return found[0]
    if found and not sharded:
        names = ", ".join(file.name for file in found[:3])
        raise InputError(f"there are {len(found)} weight files ({names}).", where=str(folder), fix="Name one of them.")
    for what, _, patterns in OTHER_FORMATS:
        if any(next(folder.glob(pattern), None) for pattern in patterns):
            raise _not_read(what, folder)
    raise InputError("the folder holds no checkpoint.", where=str(folder), fix=USE_SAFETENSORS)


def refuse(path: Path, head: bytes) -> None:
    """InputError that names the format of a file which no reader claims."""
    by_content = [what for what, magic, _ in OTHER_FORMATS if magic and head.startswith(magic)]
    by_name = [what for what, _, patterns in OTHER_FORMATS if any(path.match(pattern) for pattern in patterns)]
    if by_content or by_name:
        raise _not_read((by_content or by_name)[0], path)


def _not_read(what: str, path: Path) -> InputError:
    return InputError(f"this is {what}; that is not read yet.", where=str(path), fix=USE_SAFETENSORS)


def read_config(path: Path) -> dict[str, Any]:
    """config.json as it stands, untrusted. InputError for anything but a JSON object of at most 10 MB."""
    fix = "Put the model's config.json beside the weights."
    if not path.is_file():
        raise InputError("config.json is missing.", where=str(path), fix=fix)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise InputError(f"config.json cannot be read: {error.strerror}.", where=str(path), fix=fix) from None
    if len(data) > MAX_CONFIG_BYTES:
        raise InputError("config.json is larger than 10 MB.", where=str(path), fix=fix)
    return json_object(data, where=str(path), fix=fix)
