"""Checkpoints in several files with an index: `*.index.json` says which file holds which tensor, and is not believed.

Source: transformers' save_pretrained. The index names files of its own folder only: no path leads elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from diag.checkpoints.formats.companions import read_json
from diag.checkpoints.reader import TensorInfo
from diag.errors import InputError, one_line
from diag.limits import MAX_HEADER_BYTES
from diag.settings import limit

MAX_FILES = 10_000
FIX = "Download or copy the missing or damaged files again."

Read = Callable[[Path], tuple[dict[str, TensorInfo], tuple[str, ...]]]
"""The reader of one file: its tensors by name, and notes."""


def open_index(index: Path, read: Read) -> tuple[tuple[Path, ...], dict[str, TensorInfo], tuple[str, ...]]:
    """(files, tensors of all of them, notes). Costs the header of every file.

    InputError for an index that names a file elsewhere or one that is not there, and for a tensor that the named file
    does not hold. A tensor that lies in a file and not in the index is kept and noted.
    """
    where = str(index)
    weight_map = read_json(index, limit(MAX_HEADER_BYTES), MAX_HEADER_BYTES.more(FIX)).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError("the index holds no weight_map.", where=where, fix=FIX)
    names = sorted({name if isinstance(name, str) else "" for name in weight_map.values()})
    if len(names) > MAX_FILES:
        raise InputError(f"the index lists {len(names):,} files.", where=where, fix=FIX)
    files = tuple(companion(index, name) for name in names)
    tensors: dict[str, TensorInfo] = {}
    notes: list[str] = []
    unlisted = 0
    for number, file in enumerate(files):
        found, more = read(file)
        notes += [f"{file.name}: {note}" for note in more]
        for name, info in found.items():
            listed = weight_map.get(name)
            unlisted += listed is None
            if name in tensors or listed not in (None, file.name):
                notes.append(f"'{one_line(name, 100)}' lies in {file.name} too; the index names {listed}.")
                if listed != file.name:
                    continue
            tensors[name] = replace(info, file=number)
    absent = [name for name in weight_map if name not in tensors]
    if absent:
        raise InputError(
            f"{len(absent):,} tensors are in the index and not in its files, such as '{one_line(absent[0], 100)}'.",
            where=where,
            fix=FIX,
        )
    if unlisted:
        notes.append(f"{unlisted:,} tensors are in the files and not in the index.")
    return files, tensors, tuple(notes)


def companion(index: Path, name: str) -> Path:
    """The file `name` of the index's own folder. A link is followed to a place inside that folder, or, in a download
    cache of Hugging Face (…/snapshots/REV/), to the blobs beside the snapshots, and nowhere else."""
    if not name or Path(name).name != name or name in (".", "..") or "\0" in name or "\\" in name:
        shown = one_line(name, 80) if name else "no text"
        raise InputError(f"the index names the file '{shown}', which is no name of a file beside it.", where=str(index))
    path = index.parent / name
    try:
        real = path.resolve(strict=True)
        allowed = [index.parent.resolve()]
        if index.parent.parent.name == "snapshots":
            allowed.append(index.parent.parent.parent.resolve() / "blobs")
        if not real.is_file():
            raise InputError("the index lists this, and it is no regular file.", where=str(path), fix=FIX)
    except FileNotFoundError:
        raise InputError("the index lists this file, and it is not there.", where=str(path), fix=FIX) from None
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long
        raise InputError("the index lists this file, and it cannot be read.", where=str(path), fix=FIX) from None
    if real.parent not in allowed:
        raise InputError(
            "the index lists this file, and it is a link that leads out of its folder.",
            where=str(path),
            fix="Put the file itself there.",
        )
    return path
