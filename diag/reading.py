"""Bytes of a file that somebody else may change: read, never mapped, since a mapped file that shrinks ends the process
(SIGBUS on the first touch of a page that is gone)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from diag.errors import InputError

Bytes = npt.NDArray[np.uint8]

_held = threading.local()
_PIECE = 1 << 17  # numbers read together: 1 MiB of int64


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """The file, open for reading without a buffer of Python's; an OSError becomes an InputError that names it."""
    with readable(path), path.open("rb", buffering=0) as file:
        yield file


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """OSError inside becomes an InputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"The file cannot be read ({error.strerror or error}).", where=str(path)) from None


def fill(file: FileIO, offset: int, array: npt.NDArray[Any]) -> bool:
    """Read bytes from `offset` on into a contiguous array; False where the file ends before the array is full."""
    view: Any = array.reshape(-1).view(np.uint8)
    file.seek(offset)
    done = 0
    while done < len(view):  # one call reads 2 GiB at most
        got = file.readinto(view[done:])
        if not got:
            return False
        done += got
    return True


def bytes_of(path: Path, offset: int, nbytes: int) -> Bytes | None:
    """uint8 [nbytes] from `offset` on; None where the file ends earlier. InputError where it cannot be
    read."""
    found: Bytes = np.empty(nbytes, np.uint8)
    with opened(path) as file:
        return found if fill(file, offset, found) else None


def scratch(nbytes: int) -> Bytes:
    """uint8 [nbytes] that are this thread's until it asks again: memory that is warm in the cache."""
    held: Bytes | None = getattr(_held, "buffer", None)
    if held is None or held.size < nbytes:
        held = _held.buffer = np.empty(nbytes, np.uint8)
    return held[:nbytes]


@dataclass(frozen=True)
class Stored:
    """`count` numbers that lie in a file from byte `offset` on. dtype: with the byte order."""

    path: Path
    offset: int
    dtype: str
    count: int

    def __getitem__(self, part: slice) -> npt.NDArray[Any]:
        """These of them, read anew. InputError where the file has become shorter or cannot be read."""
        start, stop, step = part.indices(self.count)
        found = np.empty(len(range(start, stop, step)), self.dtype)
        with opened(self.path) as file:
            if step != 1 or not fill(file, self.offset + start * found.itemsize, found):
                raise shorter(self.path)
        return found

    def at(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """The entries at these places, which must not fall: read in pieces that hold any."""
        found = np.empty(len(places), self.dtype)
        done = 0
        while done < len(places):
            first = int(places[done])
            upto = int(np.searchsorted(places, first + _PIECE))
            found[done:upto] = self[first : int(places[upto - 1]) + 1][places[done:upto] - first]
            done = upto
        return found


def shorter(path: Path) -> InputError:
    """A file that ends before what was found in it when it was opened."""
    return InputError("The file became shorter while it was open.", where=str(path), fix="Open it again.")
