"""The index file: a disposable DuckDB database that is opened for moments, by one process at a time.

Whatever goes wrong with it, the answer is the same: move it aside, build it again from the files, and say so.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from diag.errors import InputError
from diag.evidence.store_tables import FORMAT, TABLES

try:
    import fcntl
except ImportError:  # Windows: DuckDB's own lock on the file remains
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
WAIT_SECONDS = 2.0
OTHER_FORMAT = "another format"
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)

# The index reads no file and loads no extension by itself: text reaches it only through parameters.
_CONFIG = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "memory_limit": "1GB",
    "threads": "2",
}


@dataclass(frozen=True)
class IndexHandle:
    """An open index. `in_memory`: another process held the file. `notes` say what happened to the file, if anything."""

    con: duckdb.DuckDBPyConnection
    in_memory: bool = False
    notes: tuple[str, ...] = ()


def with_index(db_path: Path, work: Callable[[IndexHandle], T], rebuild: Callable[[IndexHandle], object]) -> T:
    """Run `work` on the index, `rebuild` before it when the index starts empty; waits at most WAIT_SECONDS for it.

    Another process holds the file, or nothing may be written there: work on one in memory. The file is damaged: a new
    one takes its place.
    """
    _refuse_other_files(db_path)
    why = "is in use by another process"
    try:
        with _locked(db_path) as mine:
            if mine:
                try:
                    return _on_file(db_path, work, rebuild)
                except _Busy:
                    pass
                except duckdb.Error as error:
                    if "no space left" in str(error).lower():
                        raise _ReadOnly("there is no room on the disk") from None
                    if str(error) == OTHER_FORMAT:
                        _move_aside(db_path)
                        note = f"The index {db_path.name} was written by another version, and was built again."
                    else:
                        note = f"{_move_aside(db_path)} It was rebuilt from the files. ({_first_line(error)})"
                    _LOG.warning(note)  # for callers that have no place for notes
                    with suppress(duckdb.Error, _Busy):
                        return _on_file(db_path, work, rebuild, note)
    except _ReadOnly as error:
        why = f"cannot be written ({error})"
    note = f"{db_path.name} {why}: this answer comes from a copy built in memory."
    with duckdb.connect(":memory:", config=dict(_CONFIG)) as con:
        con.execute(TABLES)
        opened = IndexHandle(con, in_memory=True, notes=(note,))
        rebuild(opened)
        return work(opened)


def remember_sources(db_path: Path, folders: Sequence[Path]) -> None:
    """Keep the list of indexed folders beside the index, so that it can be rebuilt when it is lost or in use."""
    known = [path for path in dict.fromkeys([*read_sources(db_path), *folders]) if path.exists()]
    path = _sources_path(db_path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps([str(folder) for folder in known]), encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()


def read_sources(db_path: Path) -> list[Path]:
    """The folders this index was built from; empty when that is not known."""
    try:
        listed = json.loads(_sources_path(db_path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [Path(item) for item in listed if isinstance(item, str)] if isinstance(listed, list) else []


def copy_index(db_path: Path, target: Path) -> None:
    """A copy of an index file that nobody writes meanwhile. InputError: there is none, or another process keeps it."""
    db_path = db_path.absolute()
    _refuse_other_files(db_path)
    try:
        with _locked(db_path) as mine:
            if not mine:
                raise InputError("The index is in use by another process.", where=str(db_path), fix="Ask again later.")
            _copy(db_path, target)
    except _ReadOnly:
        _copy(db_path, target)


def _copy(db_path: Path, target: Path) -> None:
    for suffix in ("", ".wal"):
        with suppress(FileNotFoundError):
            shutil.copyfile(db_path.with_name(db_path.name + suffix), target.with_name(target.name + suffix))
    if not target.exists():
        raise no_index(db_path)


def no_index(db_path: Path) -> InputError:
    """What is said where an index is asked for that is not there."""
    return InputError("There is no index yet.", where=str(db_path), fix="Run: python -m diag evidence index DIR")


class _Busy(Exception):
    """Another process has the database open."""


class _ReadOnly(Exception):
    """Nothing can be written where the database lies."""


def _refuse_other_files(db_path: Path) -> None:
    """An index that is damaged is moved aside; a file that never was one is somebody's, and is left alone."""
    if db_path.is_dir():
        raise InputError("This is a folder, and the index is a file.", where=str(db_path), fix="Name a file in it.")
    with suppress(FileNotFoundError), db_path.open("rb") as file:
        head = file.read(12)
        if head and head[8:] != b"DUCK" and db_path.suffix != ".duckdb":
            raise InputError(
                "This is no index.", where=str(db_path), fix="Name another file, or one that is not there yet."
            )


def _on_file(
    db_path: Path, work: Callable[[IndexHandle], T], rebuild: Callable[[IndexHandle], object], note: str = ""
) -> T:
    fresh = not db_path.exists()
    con = _connect(db_path)
    try:
        if fresh or not con.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'meta'").fetchall():
            con.execute(TABLES)  # only then, so that a question leaves the file as it is
        if con.execute("SELECT format FROM meta").fetchall() != [(FORMAT,)]:
            raise duckdb.Error(OTHER_FORMAT)
        opened = IndexHandle(con, notes=(note,) if note else ())
        if fresh:
            rebuild(opened)
        return work(opened)
    finally:
        con.close()


def _connect(db_path: Path) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            return duckdb.connect(str(db_path), config=dict(_CONFIG))
        except duckdb.Error as error:
            if "could not set lock" not in str(error).lower():  # "block" is what a damaged file complains of
                raise
            if time.monotonic() > deadline:
                raise _Busy from None
            time.sleep(0.05)


@contextmanager
def _locked(db_path: Path) -> Iterator[bool]:
    """True while this thread alone may open the index; False when somebody else kept it for WAIT_SECONDS.

    A lock file of our own, because moving a damaged database aside must not race with another process doing so.
    """
    try:
        db_path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(db_path.with_name(f"{db_path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        if error.errno in _NO_WRITING:
            raise _ReadOnly(error.strerror) from None
        raise InputError(
            f"The index cannot be written here: {error.strerror}.", where=str(db_path), fix="Name another file."
        ) from None
    try:
        yield _wait_for(handle)
    finally:
        os.close(handle)  # gives the lock back


def _wait_for(handle: int) -> bool:
    deadline = time.monotonic() + WAIT_SECONDS
    while fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


def _move_aside(db_path: Path) -> str:
    """Keep the damaged file, one generation of it, with its log: a log left behind would be applied to the new file."""
    broken = db_path.with_name(f"{db_path.name}.broken")
    for suffix in ("", ".wal"):
        with suppress(FileNotFoundError):
            db_path.with_name(db_path.name + suffix).replace(broken.with_name(broken.name + suffix))
    return f"The index {db_path.name} was damaged and is now {broken.name}."


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:160]


def _sources_path(db_path: Path) -> Path:
    return db_path.with_name(f"{db_path.name}.sources")
