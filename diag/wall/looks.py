"""The looks at all checkpoints: kept by the state of their files, taken one after the other in the background."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import diag
from diag.catalogue import Catalogue, Entry
from diag.errors import InputError
from diag.installation import child_environment
from diag.wall.look import Look, line_of, parsed

FILE_NAME = "looks.jsonl"
MAX_KEPT_BYTES = 64 * 1024 * 1024


def key_of(entry: Entry) -> str:
    """What changes with the files and with this program: a later version may see more."""
    state = f"{diag.__version__} {entry.stamp} {entry.bytes} {entry.files}"
    return hashlib.sha256(state.encode()).hexdigest()[:24]


class Looks:
    """One for a server. What was seen is kept in `folder`, which may be deleted at any time."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE_NAME
        self._lock = threading.Lock()
        self._known = _kept(self._file)
        self._waiting: dict[str, Callable[[], Path]] = {}
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[str] | None = None
        self._closed = False

    def known(self) -> dict[str, Look]:
        """What has been seen so far, by key."""
        with self._lock:
            return dict(self._known)

    def want(self, found: Catalogue) -> tuple[int, int]:
        """Look at all checkpoints of a catalogue in the background. Returns how many of them are seen, and of how many:
        each state of files counts once."""
        keys: dict[str, Callable[[], Path]] = {
            key_of(entry): partial(found.resolve, "checkpoint", entry.id) for entry in found.of("checkpoint")
        }
        with self._lock:
            missing = {key: path for key, path in keys.items() if key not in self._known}
            self._waiting = missing
            if missing and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, daemon=True, name="looks")
                self._thread.start()
            return len(keys) - len(missing), len(keys)

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._closed, self._waiting = True, {}
            child = self._child
        if child:
            child.kill()

    def _work(self) -> None:
        """Until nothing waits. A child that dies is followed by another, and what killed it is not asked again."""
        while (asked := self._next()) is not None:
            key, place = asked
            try:
                found = self._ask(key, place())
            except InputError as error:  # it has gone, or leads out of the roots
                found = Look(key, problem=str(error))
            with self._lock:
                self._known[key] = found or Look(key, problem="Reading this file ended the process that read it.")
            if found and not found.problem:
                self._keep(found)
        with self._lock:
            child, self._child = self._child, None
        if child and child.stdin:
            child.stdin.close()  # it ends
            child.wait()

    def _next(self) -> tuple[str, Callable[[], Path]] | None:
        with self._lock:
            for key, path in self._waiting.items():
                if key not in self._known:
                    return key, path
            self._thread = None
            return None

    def _ask(self, key: str, path: Path) -> Look | None:
        child = self._running()
        assert child.stdin and child.stdout
        try:
            child.stdin.write(json.dumps({"key": key, "path": str(path)}) + "\n")
            child.stdin.flush()
            for line in child.stdout:  # a library may print: what is no look is passed over
                if (found := parsed(line)) and found.key == key:
                    return found
        except OSError:
            pass
        child.kill()
        child.wait()
        with self._lock:
            self._child = None
        return None

    def _running(self) -> subprocess.Popen[str]:
        with self._lock:
            if self._child is None:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "diag.wall.look"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env=child_environment() | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
                )
            return self._child

    def _keep(self, found: Look) -> None:
        with contextlib.suppress(OSError):  # a full disk loses a cache, and nothing else
            self._file.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, f"{line_of(found)}\n".encode())
            finally:
                os.close(handle)


def _kept(file: Path) -> dict[str, Look]:
    with contextlib.suppress(OSError), file.open("rb") as handle:
        lines = handle.read(MAX_KEPT_BYTES).split(b"\n")
        return {found.key: found for line in lines if (found := parsed(line))}
    return {}
