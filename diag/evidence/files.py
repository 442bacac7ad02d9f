"""Bounded reading of files that others wrote: regular files only, never a link, a pipe or more bytes than asked."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diag.file_state import FileState

MAX_DEPTH = 6
MAX_FILES = 5_000
MAX_TEXT_BYTES = 2 * 1024 * 1024  # of one text file; what lies beyond is not indexed, and the sync says so
TEXT_SUFFIXES = {".md", ".txt", ".log", ".json", ".jsonl", ".tsv", ".csv", ".yaml", ".yml", ""}


@dataclass(frozen=True)
class Found:
    """A text file of an evidence folder. `name` is the folder's name and the path in it: what a citation shows. `stamp`
    changes with the file's state."""

    path: Path
    name: str
    size: int
    stamp: str


def read_regular(path: Path, limit: int) -> bytes:
    """The first `limit` bytes of a regular file. OSError for anything else; never blocks on a pipe or a device."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read(limit)


def digest(data: bytes) -> str:
    """sha256 in hex: what a citation carries, so that a later change of the file is seen."""
    return hashlib.sha256(data).hexdigest()


def text_files(folder: Path, limit: int = MAX_FILES) -> Iterator[Found]:
    """The text files below `folder`, or `folder` itself when it is one; sorted, without hidden ones and links."""
    if folder.is_file():
        yield from _found(folder, folder.name)
        return
    count = 0
    for here, folders, names in os.walk(folder):
        relative = Path(here).relative_to(folder)
        deeper = len(relative.parts) < MAX_DEPTH
        folders[:] = sorted(name for name in folders if deeper and not name.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or Path(name).suffix.lower() not in TEXT_SUFFIXES:
                continue
            for found in _found(Path(here) / name, (folder.name / relative / name).as_posix()):
                count += 1
                if count > limit:
                    return
                yield found


def unreadable(folders: Iterable[Path]) -> list[str]:
    """One sentence for each folder that is not there."""
    return [f"{folder} is not there; nothing of it is indexed." for folder in folders if not folder.exists()]


def _found(path: Path, name: str) -> Iterator[Found]:
    try:
        status = path.lstat()
    except OSError:
        return
    if stat.S_ISREG(status.st_mode):
        yield Found(path, name, status.st_size, FileState.of(status).stamp)
