"""What tells one content of a file from another without reading it: where it lies, its size, and both of its times.

A copy that keeps times (`cp -p`, `rsync -t`) is as old and as long as what it replaces. The inode tells a file that
took its place, and the time of the last change of the inode (ctime), which no program can set, tells one that was
written over. A process that maps a file for writing may change it later than its times say; nothing here sees that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diag.errors import InputError

# Clocks of file systems tick up to every 10 ms (100 Hz kernels): a second change within a tick leaves no trace.
TICK_NS = 20_000_000
# File systems that keep inode and ctime. Others may number a file anew whenever it is looked up (FUSE, CIFS), or have
# no ctime at all (FAT): https://docs.kernel.org/filesystems/. What lies on those is told by a digest of its content.
_LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "ramfs", "overlay")
_SHARED = ("nfs", "nfs4", "ceph", "lustre", "gpfs")
KEEPS_STATES = frozenset((*_LOCAL, *_SHARED))
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class FileState:
    """One content of one file, as far as the file system tells: times in ns since the epoch, size in bytes."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """From what stat says."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def stamp(self) -> str:
        """Text to keep something under on disk. Without the device, whose number may be another after a reboot."""
        return f"{self.inode}:{self.size}:{self.mtime_ns}:{self.ctime_ns}"


States = Mapping[Path, FileState | None]
"""The state of each file before the first byte of it was read; None for one that was not there."""


def state_of(path: Path) -> FileState | None:
    """The state of a file now, None if it cannot be opened. It is opened and closed, which makes NFS ask the server:
    stat alone may answer from a cache of some seconds' age. Cost: microseconds."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    try:
        return FileState.of(os.fstat(handle))
    finally:
        os.close(handle)


def states_around(path: Path) -> dict[Path, FileState]:
    """Of the files in the folder `path`, or beside the file `path`, before one is opened. Cost: 2 µs a file."""
    return states_at(_files(path if path.is_dir() else path.parent))


def states_at(paths: Iterable[Path]) -> dict[Path, FileState]:
    """Of those of `paths` that are there. Waits out the tick in which one of them has just changed, at most 20 ms, so
    that the next change gives another state."""
    listed = list(paths)
    found = _stat(listed)
    age = time.time_ns() - max((state.ctime_ns for state in found.values()), default=0)
    if 0 <= age < TICK_NS:
        time.sleep((TICK_NS - age) / 1e9)
        found = _stat(listed)
    return found


def states_of_read(files: Iterable[Path], before: Mapping[Path, FileState]) -> States:
    """The states of what was read, by what `before` knows. A file of a folder that it covers and that it does not know
    has come meanwhile, so it counts as not there; of any other folder the state now is taken."""
    covered = {path.parent for path in before}
    return {file: before.get(file) if file.parent in covered else state_of(file) for file in files}


def changed_since(states: States) -> list[Path]:
    """The files that are not what they were. Where no states are kept only size and time of writing are compared."""
    return [path for path, state in states.items() if not _same(state, state_of(path))]


def changed(path: Path) -> InputError:
    """The sentence about a file that is not what it was when it was opened."""
    return InputError(
        "the file changed while it was read, so no result can say which content it is about; nothing was recorded.",
        where=str(path),
        fix="Wait until whoever writes it is done, and run it again.",
    )


def keeps_states(device: int) -> bool:
    """Whether the file system with this number keeps inode and ctime; False where that is not known (no Linux)."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with suppress(OSError):
        for line in _MOUNTS.read_text(errors="replace").splitlines():
            # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue (proc_pid_mountinfo(5))
            before, _, after = line.partition(" - ")
            if before.split()[2:3] == [number]:
                return after.split()[0] in KEEPS_STATES
    return False


def _same(then: FileState | None, now: FileState | None) -> bool:
    if then == now or then is None or now is None:
        return then == now
    return not keeps_states(now.device) and (then.size, then.mtime_ns) == (now.size, now.mtime_ns)


def _files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []


def _stat(paths: Iterable[Path]) -> dict[Path, FileState]:
    found = {}
    for path in paths:
        with suppress(OSError, ValueError):
            found[path] = FileState.of(path.stat())
    return found
