"""Bounded reading of files that others wrote: regular files only, never a link, a pipe or more bytes than asked."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diag.file_state import FileState

MAX_DEPTH = 32
MAX_FILES = 100_000
MAX_TEXT_BYTES = 8 * 1024 * 1024  # of one text file; what lies beyond is not read, and that is listed
TEXT_SUFFIXES = {
    *(".md", ".markdown", ".rst", ".txt", ".log", ".out", ".err", ".json", ".jsonl", ".ndjson", ".tsv", ".csv"),
    *(".yaml", ".yml", ".toml", ".cfg", ".ini", ""),
}
# Of an index that lies among the evidence, and of jobs that wait.
OWN_FILES = (".duckdb", ".lock", ".sources", ".wal", ".broken", ".job", ".new")


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


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not read, or not to its end, and why."""

    path: str
    reason: str


def text_files(folder: Path, left_out: list[LeftOut] | None = None, limit: int = MAX_FILES) -> Iterator[Found]:
    """The text files below `folder`, or `folder` itself when it is one; sorted. Links are not followed.

    Whatever is passed over is added to `left_out`, a folder as one entry.
    """
    out: list[LeftOut] = [] if left_out is None else left_out
    if folder.is_file():
        yield from _found(folder, folder.name, out)
        return
    count = more = 0
    for here, folders, names in os.walk(folder, onerror=lambda error: out.append(_gone(error))):
        relative = Path(here).relative_to(folder)
        folders[:] = sorted(_entered(Path(here), folders, len(relative.parts), out))
        for name in sorted(names):
            path = Path(here) / name
            reason = _passed_over(name)
            if reason is None and count >= limit:
                more += 1
            elif reason is None:
                for found in _found(path, (folder.name / relative / name).as_posix(), out):
                    count += 1
                    yield found
            elif reason:
                out.append(LeftOut(str(path), reason))
    if more:
        out.append(LeftOut(str(folder), f"holds {more:,} more files than the {limit:,} that are read"))


def unreadable(folders: Iterable[Path]) -> list[str]:
    """One sentence for each folder that is not there."""
    return [f"{folder} is not there; nothing of it is indexed." for folder in folders if not folder.exists()]


def _entered(here: Path, folders: list[str], depth: int, out: list[LeftOut]) -> Iterator[str]:
    for name in folders:
        if name.startswith("."):
            out.append(LeftOut(str(here / name), "its name begins with a dot"))
        elif (here / name).is_symlink():
            out.append(LeftOut(str(here / name), "is a link to a folder"))
        elif depth >= MAX_DEPTH:
            out.append(LeftOut(str(here / name), f"lies deeper than {MAX_DEPTH} folders"))
        else:
            yield name


def _passed_over(name: str) -> str | None:
    """Why a name is not read; empty for files of our own, None for one that is read."""
    suffix = Path(name).suffix.lower()
    if suffix in OWN_FILES:
        return ""
    if name.startswith("."):
        return "its name begins with a dot"
    return None if suffix in TEXT_SUFFIXES else f"{suffix} is no kind of text that is read"


def _gone(error: OSError) -> LeftOut:
    return LeftOut(str(error.filename), f"cannot be read: {error.strerror}")


def _found(path: Path, name: str, out: list[LeftOut]) -> Iterator[Found]:
    try:
        status = path.lstat()
    except OSError as error:
        out.append(LeftOut(str(path), f"cannot be read: {error.strerror}"))
        return
    if stat.S_ISREG(status.st_mode):
        yield Found(path, name, status.st_size, FileState.of(status).stamp)
    else:
        out.append(LeftOut(str(path), "is a link" if stat.S_ISLNK(status.st_mode) else "is no regular file"))
