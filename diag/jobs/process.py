"""The worker process as the queue holds it: messages each way, and for how long it has said nothing.

Two threads stand between the queue and the pipes, so that a worker that is stopped, and neither reads nor writes, holds
up nobody but them.
"""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time

from diag.installation import child_environment
from diag.jobs.forked import Forked
from diag.jobs.protocol import Beat, Message, Ready, parse, to_line
from diag.jobs.slots import Slot

END_SECONDS = 30.0


class WorkerProcess:
    """One worker, from its start to its end. Every method but `wait` returns at once. OSError if none can be
    started."""

    lost = False  # it ends with this machine
    module = "diag.jobs.worker"  # whose `main` its process runs

    def __init__(self, slot: Slot, forked: Forked | None = None) -> None:
        """forked: its process, where it was made already."""
        self.process = forked or subprocess.Popen(
            [sys.executable, "-P", "-m", self.module],  # -P: nothing of the current folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**child_environment(), **slot.environment},
        )
        self.ready = False
        self._heard = time.monotonic()
        self._to_it: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._from_it: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        try:
            for work in (self._write, self._read):
                threading.Thread(target=work, name=f"worker {self.process.pid}: {work.__name__}", daemon=True).start()
        except RuntimeError as error:  # no memory for a thread
            self.process.kill()
            raise OSError(str(error)) from None

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.process.pid

    @property
    def silent(self) -> float:
        """Seconds since it said anything, or since it was started."""
        return time.monotonic() - self._heard

    def running(self) -> bool:
        """Whether the process is there; a stopped one is."""
        return self.process.poll() is None

    def send(self, message: Message) -> None:
        """Give it the message when it reads next. One to a worker that has just ended is lost."""
        self._to_it.put(message)

    def receive(self, seconds: float) -> Message | None:
        """Its next message about a job. None at the end of its output; queue.Empty if none comes within `seconds`."""
        return self._from_it.get(timeout=seconds)

    def kill(self) -> None:
        """SIGKILL: the one signal that a stopped process does not put off."""
        self.process.kill()

    def wait(self) -> int:
        """The exit code, once it has ended; that of a kill, where the kernel holds what was killed."""
        try:
            return self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL

    def _write(self) -> None:
        assert self.process.stdin is not None
        try:
            while True:
                self.process.stdin.write(to_line(self._to_it.get()) + "\n")
                self.process.stdin.flush()
        except (OSError, ValueError):  # it has ended, or its pipe is closed: whoever reads finds the end of its output
            return

    def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                match parse(line):
                    case None:  # a library's print is no sign of life of ours
                        continue
                    case Ready():
                        self.ready = True
                    case Beat():
                        pass
                    case message:
                        self._from_it.put(message)
                self._heard = time.monotonic()
        except MemoryError:  # a line is lost, and with it how its job stands
            self.process.kill()
        finally:
            self._from_it.put(None)
