"""A slot with its worker: starts it, gives it one job after the other, and notices when it dies or gets stuck.

A worker that gives no answer is said, and not ended by itself: a stopped one may go on. Cancel ends it. What no worker
began is given to the next one.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from diag.errors import in_words
from diag.jobs.job import Job
from diag.jobs.process import WorkerProcess
from diag.jobs.protocol import Cancel, Cancelled, Done, Failed, Holds, Message, Run, Stop, Unwritten
from diag.jobs.slots import GENTLE, Slot
from diag.results.thresholds_jobs import CANCEL_GRACE, NO_ANSWER, SENDS, UNBEGUN

_LOOK = 0.2  # seconds from one look at a worker that says nothing to the next

_AMID = (
    "in the middle of this job, and nothing was recorded. Run it again: a new worker starts by itself. If it happens "
    "again, the machine may lack memory."
)
_ENDED = "Stopped on request, and the worker with it. Nothing was recorded; a new worker takes the next job."


class Worker(Protocol):
    """What a seat holds: a process here (process.py), or one on another machine. `lost`: whether its machine is gone,
    and the work can be done elsewhere."""

    ready: bool

    @property
    def silent(self) -> float: ...
    @property
    def pid(self) -> int: ...
    @property
    def lost(self) -> bool: ...
    def running(self) -> bool: ...
    def send(self, message: Message) -> None: ...
    def receive(self, seconds: float) -> Message | None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


Start = Callable[[Slot], Worker]


class Seat:
    """`lock` is the queue's, and guards everything here. hear: called, without the lock, with each message about the
    job that runs. job: the id of that job. holds: what the worker last said that it keeps."""

    def __init__(
        self,
        slot: Slot,
        lock: threading.Lock,
        hear: Callable[[Message], None],
        start: Start = WorkerProcess,
    ) -> None:
        self.slot = slot
        self.worker: Worker | None = None
        self.job: str | None = None
        self.holds: Holds | None = None
        self._lock, self._hear, self._start = lock, hear, start
        self._cancelled: float | None = None  # when the job was cancelled, by the monotonic clock
        self._closed = self._started = False

    # With the lock held -------------------------------------------------------------------------------------------
    @property
    def silent(self) -> float:
        """Seconds without an answer while there is a job."""
        return self.worker.silent if self.worker and self.job else 0.0

    def warm_for(self, job: Job) -> bool:
        """Whether the worker keeps the job's checkpoint."""
        held = self.holds.models if self.holds else ()
        return any(model.checkpoint == job.request.case.checkpoint for model in held)

    def described(self) -> dict[str, Any]:
        """In plain values."""
        worker, holds = self.worker, self.holds
        silent = worker.silent if worker and worker.running() else 0.0
        models = [vars(model) for model in holds.models] if holds else []
        return {
            "slot": self.slot.name,
            "gpu": self.slot.gpu,
            "pid": worker.pid if worker and worker.running() else None,
            "ready": bool(worker and worker.running() and worker.ready),
            "busy": self.job is not None,
            "job": self.job,
            "silent_seconds": silent,
            "stuck": silent >= NO_ANSWER.value,
            "resident_bytes": holds.resident_bytes if holds else 0,
            "models": models,
            "model_bytes": sum(model["bytes"] for model in models),
        }

    def cancel(self) -> None:
        """Ask the worker to drop its job; one that does not is killed (`_overdue`)."""
        if self._cancelled is None:
            self._cancelled = time.monotonic()
            if self.worker and self.job:
                self.worker.send(Cancel(self.job))

    def conclude(self) -> None:
        """Ask the worker to conclude its job from what it knows."""
        if self.worker and self.job:
            self.worker.send(Stop(self.job))

    def warm(self) -> None:
        """Start a worker, so that whoever comes next need not wait for torch."""
        if not self._closed:
            with suppress(OSError):  # the next job says why
                self._alive()

    def close(self) -> None:
        """End the worker, and start none."""
        self._closed = True
        if self.worker:
            self.worker.kill()
            self.worker.wait()

    # Without it ---------------------------------------------------------------------------------------------------
    def run(self, job: Job) -> dict[str, Any]:
        """The job's last state. It is given to another worker while none has begun it, or its machine is gone."""
        try:
            return self._run(job)
        except Exception as error:  # MemoryError of this server, say: the next job must still get its turn
            traceback.print_exc()
            with self._lock:
                if self.worker:
                    self.worker.kill()
                self.worker = None
            return {"state": "failed", "error": f"{in_words(error)} The server's log has the details."}

    def _run(self, job: Job) -> dict[str, Any]:
        message = job.request.to_message()
        code = 0
        for _ in range(int(SENDS.value)):
            try:
                worker = self._give(message)
            except OSError as error:  # no memory for another process, say: the next job must still get its turn
                return {"state": "failed", "error": f"The worker cannot be started: {error}."}
            if worker is None:
                return {"state": "cancelled", "error": _ENDED}
            began, last = self._follow(worker)
            if last:
                return last
            code = worker.wait()
            with self._lock:
                self.warm()
            if began and self._cancelled is None and not worker.lost:
                return {"state": "failed", "error": f"The worker process ended {_by(code)} {_AMID}"}
        if self._cancelled is not None:
            return {"state": "cancelled", "error": _ENDED}
        many = f"{SENDS.value:.0f} workers, one after the other, ended {_by(code)} before they began this job."
        return {"state": "failed", "error": f"{many} The server's log may say why; the machine may lack memory."}

    def take(self, id: str) -> None:
        """The job is this seat's from now on. With the lock held."""
        self.job, self._cancelled = id, None

    def let_go(self) -> None:
        """It is finished. With the lock held."""
        self.job = None

    def _give(self, message: Run) -> Worker | None:
        """The worker that was given the request; None where there is no use in it any more."""
        with self._lock:  # a Cancel comes before this or goes out behind the request
            if self._closed or self._cancelled is not None:
                return None
            worker = self._alive()
            worker.send(message)
            return worker

    def _follow(self, worker: Worker) -> tuple[bool, dict[str, Any]]:
        """Hear the worker's messages about the job: whether it began, and its last state, empty when the worker ended
        before it said one."""
        began = False
        while True:
            try:
                message = worker.receive(_LOOK)
            except queue.Empty:
                if self._overdue(worker):
                    return began, {"state": "cancelled", "error": _ENDED}
                if not began and worker.ready and worker.silent >= UNBEGUN.value:
                    with self._lock:  # it got stuck with nothing to do: another one can do the job
                        worker.kill()
                        self.worker = None
                    return began, {}
                continue
            if message is None:
                return began, {}
            if isinstance(message, Holds):
                with self._lock:
                    self.holds = message
            if getattr(message, "job", None) != self.job:
                continue
            began = True
            self._hear(message)
            if last := _last(message):
                return began, last

    def _overdue(self, worker: Worker) -> bool:
        """Whether a cancelled job has had its time to stop, less of it where the worker says nothing; then another
        worker takes this one's place. Nobody waits for its end: the kernel may be what holds it."""
        with self._lock:
            waited = 0.0 if self._cancelled is None else time.monotonic() - self._cancelled
            if waited < NO_ANSWER.value and min(waited, worker.silent) < CANCEL_GRACE.value:
                return False
            worker.kill()
            self.worker = None
            self.warm()
            return True

    def _alive(self) -> Worker:
        """The running worker, started anew if there is none."""
        if self.worker is None or not self.worker.running():
            # The first starts with the server, whose pages people wait for; a later one is waited for itself.
            gentle = {} if self._started else {GENTLE: "1"}
            self.holds, self._started = None, True
            self.worker = self._start(replace(self.slot, environment={**self.slot.environment, **gentle}))
        return self.worker


def _last(message: Message) -> dict[str, Any]:
    """The state of a job that a message ends; empty if there is more to come."""
    match message:
        case Done():
            return {"state": "done", "fraction": 1.0, "record": message.record}
        case Unwritten():
            return {"state": "done", "fraction": 1.0, "record": message.record, "error": message.error}
        case Failed():
            return {"state": "failed", "error": message.error}
        case Cancelled():
            return {"state": "cancelled", "error": message.error}
    return {}


def _by(code: int) -> str:
    """How a process ended, by its exit code."""
    return f"by signal {-code}" if code < 0 else f"with code {code}"
