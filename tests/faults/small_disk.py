"""Disks that are full or read-only, as far as this user may mount any."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILLER = "filler"


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[bool]:
    """A file system of its own, in memory, at `folder`; False, and nothing happens, where this user may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and run("mount", *options)
    try:
        yield mounted
    finally:
        if mounted:
            run("umount", "-l", str(folder))


def fill(folder: Path) -> None:
    """Write into the disk until it takes no more."""
    with (folder / FILLER).open("ab", buffering=0) as file:
        for size in (1 << 16, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def make_room(folder: Path) -> None:
    """Take away what `fill` wrote."""
    (folder / FILLER).unlink(missing_ok=True)


def read_only(folder: Path) -> bool:
    """Make the disk of `small_disk` read-only, for root too."""
    return run("mount", "-o", "remount,ro", str(folder))


def run(*command: str) -> bool:
    """Whether a command succeeds."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
