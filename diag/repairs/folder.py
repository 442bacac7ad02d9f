"""A folder that is there whole or not at all: written under another name beside its place, then renamed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diag.errors import InputError

_ROOM = 64 << 20  # bytes that are left free on the disk


@contextmanager
def whole_folder(out: Path, needed: int) -> Iterator[Path]:
    """The folder to write into; it becomes `out` when the block ends, and is removed when the block fails.

    needed: bytes that will be written. InputError where `out` is there already, where its parent cannot be written to,
    or where the disk has no room. A process that is killed leaves a folder called .NAME.partial-PID, which the next one
    removes.
    """
    out = out.expanduser().absolute()
    if out.exists() or out.is_symlink():
        raise InputError("There is something already.", where=str(out), fix="Name a folder that is not there yet.")
    partial = out.parent / f".{out.name}.partial-{os.getpid()}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(out)
        free = shutil.disk_usage(out.parent).free
        if free < needed + _ROOM:
            raise InputError(
                f"The checkpoint takes up to {needed / 1e9:,.2f} GB, and {free / 1e9:,.2f} GB are free.",
                where=str(out.parent),
                fix="Make room there, or choose another disk with --out.",
            )
        partial.mkdir()
        yield partial
        for file in (*partial.iterdir(), partial):
            _sync(file)
        partial.rename(out)
        _sync(out.parent)
    except OSError as error:
        raise InputError(
            f"The checkpoint cannot be written: {error.strerror or error}.",
            where=str(out),
            fix="Make room there, or choose another place with --out.",
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_left_over(out: Path) -> None:
    """Folders on their way to this name whose process is gone."""
    for left in out.parent.glob(f".{out.name}.partial-*"):
        number = re.fullmatch(r"\d+", left.name.rpartition("-")[2])
        if number and not Path(f"/proc/{number[0]}").exists() and Path("/proc/self").exists():
            shutil.rmtree(left, ignore_errors=True)


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError):  # a file system may not know how
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
