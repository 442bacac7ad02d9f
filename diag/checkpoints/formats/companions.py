"""What lies beside the weights: config.json and a tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diag.checkpoints.untrusted import json_object
from diag.errors import InputError

MAX_CONFIG_BYTES = 10_000_000
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def tokenizer_in(folder: Path) -> Path | None:
    """The folder, if it holds a tokenizer."""
    return folder if any((folder / name).is_file() for name in TOKENIZER_FILES) else None


def config_in(folder: Path) -> dict[str, Any]:
    """config.json as it stands, untrusted; empty where there is none. InputError for anything but a JSON object of at
    most 10 MB."""
    path = folder / "config.json"
    if not path.is_file():
        return {}
    return read_json(path, MAX_CONFIG_BYTES, "Put the model's config.json beside the weights.")


def read_json(path: Path, most: int, fix: str) -> dict[str, Any]:
    """A JSON object of at most `most` bytes; InputError in one line for anything else."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror}.", where=str(path), fix=fix) from None
    if len(data) > most:
        raise InputError(f"{path.name} is larger than {most / 1e6:.0f} MB.", where=str(path), fix=fix)
    return json_object(data, where=str(path), fix=fix)
