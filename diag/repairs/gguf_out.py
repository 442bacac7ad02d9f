"""A GGUF file copied with other numbers in its header, where a repair changes nothing else."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diag.checkpoints import Checkpoint
from diag.checkpoints.formats.gguf_header import read_header
from diag.checkpoints.formats.gguf_names import ARCHITECTURES

# Of `diag/checkpoints/formats/gguf_values.py`: the types of numbers, by their number in the file.
_CODES = {4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


def header_values(checkpoint: Checkpoint, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Key-values of the header that stand for keys of config.json, with their new values; None where the header has no
    number for one of them, or the file is split."""
    if checkpoint.format != "gguf" or len(checkpoint.files) != 1:
        return None
    values = read_header(checkpoint.files[0]).values
    name = values.get("general.architecture")
    row = ARCHITECTURES.get(name) if isinstance(name, str) else None
    if row is None:
        return None
    spelt = {theirs: f"{name}.{ours}" for ours, theirs in row.keys.items() if f"{name}.{ours}" in values}
    found = {spelt[key]: value for key, value in wanted.items() if key in spelt and isinstance(value, int | float)}
    return found if len(found) == len(wanted) and all(_place(checkpoint.files[0], key) for key in found) else None


def write(source: Path, target: Path, values: Mapping[str, Any]) -> None:
    """Copy the file with these numbers in its header. Costs a copy."""
    shutil.copyfile(source, target)
    with target.open("r+b") as out:
        for key, value in values.items():
            place = _place(source, key)
            assert place is not None
            out.seek(place[0])
            out.write(struct.pack(place[1], value))


def _place(path: Path, key: str) -> tuple[int, str] | None:
    """Where the number of a key stands, and its struct code; None unless the key is there once, with a number."""
    end = min((entry.offset for entry in read_header(path).entries), default=0)
    with path.open("rb") as file:
        header = file.read(end)
    name = struct.pack("<Q", len(key)) + key.encode()
    if header.count(name) != 1:
        return None
    at = header.index(name) + len(name)
    code = _CODES.get(struct.unpack_from("<I", header, at)[0])
    return (at + 4, code) if code else None
