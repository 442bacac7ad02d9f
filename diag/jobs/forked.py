"""The server's end of the reserve, and of a worker that was forked from it: what `subprocess.Popen` is of another one.

Linux: a process is named by a handle (pidfd), so that no other that got its number is ever killed in its place.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from diag.installation import child_environment

MOST_BYTES = 1 << 16  # of a packet between the two
CAN_FORK = sys.platform == "linux" and hasattr(os, "pidfd_open")
# Whoever asks whether there is a GPU while torch is imported does not start CUDA by it, which a fork cannot use then.
_COUNT_BY_NVML = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
_ANSWER_SECONDS = 2.0  # a fork of 0.4 GB takes 10 ms
_CODE_SECONDS = 2.0  # from the end of a worker to its exit code


class Forked:
    """A worker's process: the part of `subprocess.Popen` that `WorkerProcess` uses."""

    def __init__(self, pid: int, handle: int, stdin: TextIO, stdout: TextIO) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self._handle = handle
        self._code: int | None = None
        self._told = threading.Event()

    def tell(self, code: int) -> None:
        """Its exit code, which the reserve was told: that is its parent."""
        self._code = code
        self._told.set()

    def poll(self) -> int | None:
        """The exit code, None while it runs; that of a kill where the reserve ended too, and nobody knows it."""
        ended = self._told.is_set() or select.select([self._handle], [], [], 0)[0]
        return (-signal.SIGKILL if self._code is None else self._code) if ended else None

    def kill(self) -> None:
        """SIGKILL."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """The exit code, once it has ended."""
        if not select.select([self._handle], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("worker", timeout)
        self._told.wait(_CODE_SECONDS)
        code = self.poll()
        assert code is not None
        return code

    def __del__(self) -> None:
        os.close(self._handle)


class Reserve:
    """The process in reserve. Safe to ask from every thread. OSError if it cannot be started."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "diag.jobs.reserve", module],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={**child_environment(), **environment, **_COUNT_BY_NVML},
            )
        self.ready = False
        self._born: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self._workers: dict[int, Forked] = {}
        self._codes: dict[int, int] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._read, name=f"reserve {self.process.pid}", daemon=True).start()

    @property
    def good(self) -> bool:
        """Whether it runs, and is not stopped."""
        if self.process.poll() is not None:
            return False
        with suppress(OSError, IndexError):
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] not in "Tt"
        return False

    @property
    def shared(self) -> bool:
        """Whether workers that run were forked from it: then its memory is theirs too."""
        with self._lock:
            return any(worker.poll() is None for worker in self._workers.values())

    def fork(self, environment: Mapping[str, str]) -> Forked:
        """A worker with that environment beside the reserve's. OSError if there is none within two seconds."""
        (theirs_in, ours_in), (ours_out, theirs_out) = os.pipe(), os.pipe()
        try:
            socket.send_fds(self._socket, [json.dumps(dict(environment)).encode()], [theirs_in, theirs_out])
            pid, handle = self._born.get(timeout=_ANSWER_SECONDS)
        except (OSError, queue.Empty):
            os.close(ours_in)
            os.close(ours_out)
            self.kill()  # a worker that it made yet finds its stdin closed, and ends
            raise OSError("the reserve does not answer") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        worker = Forked(pid, handle, os.fdopen(ours_in, "w", encoding="utf-8"), os.fdopen(ours_out, encoding="utf-8"))
        with self._lock:
            self._workers[pid] = worker
            if (code := self._codes.pop(pid, None)) is not None:  # it ended already
                worker.tell(code)
        return worker

    def kill(self) -> None:
        """SIGKILL. Its workers go on."""
        self.process.kill()

    def _read(self) -> None:
        with self._socket, suppress(OSError):
            while True:
                said, handles, _, _ = socket.recv_fds(self._socket, MOST_BYTES, 1)
                if not said:
                    return
                match json.loads(said):
                    case {"ready": True}:
                        self.ready = True
                    case {"pid": int(pid)}:
                        self._born.put((pid, handles[0]))
                    case {"ended": int(pid), "code": int(code)}:
                        with self._lock:
                            if worker := self._workers.pop(pid, None):
                                worker.tell(code)
                            else:
                                self._codes[pid] = code
