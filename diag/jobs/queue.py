"""The queue in front of the worker: bounded, first come first served, safe to ask from every session at once.

A worker that gives no answer is said, and not ended by itself: a stopped one may go on. Cancel ends it. What no worker
began is given to the next one.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from diag.errors import InputError
from diag.jobs.process import WorkerProcess
from diag.jobs.protocol import Cancel, Cancelled, Done, Failed, JobRequest, Message, Step, Unwritten
from diag.jobs.unwritten import UnwrittenRecords
from diag.results.thresholds_jobs import CANCEL_GRACE, NO_ANSWER, SENDS

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
MAX_WAITING = 8
MAX_REMEMBERED = 200
_LOOK = 0.2  # seconds from one look at a worker that says nothing to the next
FINISHED: tuple[JobState, ...] = ("done", "failed", "cancelled")

_AMID = (
    "in the middle of this job, and nothing was recorded. Run it again: a new worker starts by itself. If it happens "
    "again, the machine may lack memory."
)
_ENDED = "Stopped on request, and the worker with it. Nothing was recorded; a new worker takes the next job."


@dataclass(frozen=True)
class Job:
    """A snapshot of one job. Times are epoch seconds; `ahead` counts the jobs that run before it; `silent`: seconds for
    which the worker has given no answer, 0 below NO_ANSWER. `error` of a job that is done: why its record could not be
    written at once."""

    id: str
    request: JobRequest
    state: JobState = "queued"
    fraction: float = 0.0
    text: str = "Waiting"
    record: str | None = None
    error: str = ""
    submitted: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    ahead: int = 0
    silent: float = 0.0


class JobQueue:
    """Owns the worker process. Every method returns at once; a thread of its own does the waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._wake = threading.Condition(self._lock)
        self._worker: WorkerProcess | None = None
        self._following: str | None = None  # the job that the worker was given
        self._cancelled: dict[str, float] = {}  # when a job that runs was cancelled, by the monotonic clock
        self._closed = False
        self.unwritten = UnwrittenRecords()
        threading.Thread(target=self._serve, name="job queue", daemon=True).start()

    def submit(self, request: JobRequest) -> Job:
        """Queue a request, or return the job that already asks (or has answered) the same. InputError when full."""
        with self._wake:
            known = self._jobs.get(request.id)
            if known and known.state not in ("failed", "cancelled"):
                return known
            if sum(job.state == "queued" for job in self._jobs.values()) >= MAX_WAITING:
                raise InputError(
                    f"{MAX_WAITING} jobs are waiting already.", fix="Try again when one has finished, or cancel one."
                )
            self._jobs.pop(request.id, None)
            job = self._jobs[request.id] = Job(request.id, request, submitted=time.time())
            self._forget()
            self._wake.notify_all()
            return job

    def get(self, id: str) -> Job | None:
        """The job as it stands, or None for an id this server does not know."""
        with self._lock:
            job = self._jobs.get(id)
            if job is None or job.state in FINISHED:
                return job
            waits = [j.id for j in self._jobs.values() if j.state in ("queued", "running")]
            silent = self._worker.silent if self._worker and self._following else 0.0
            return replace(
                job,
                ahead=waits.index(id) if job.state == "queued" else 0,
                silent=silent if silent >= NO_ANSWER.value else 0.0,
            )

    def cancel(self, id: str) -> None:
        """Stop a job: at once when it waits, at the next batch when it runs. A worker that says nothing for two
        seconds, or does not stop within twenty, is killed."""
        with self._wake:
            job = self._jobs.get(id)
            if job and job.state == "queued":
                self._jobs[id] = replace(job, state="cancelled", error="Cancelled before it started.")
            elif job and job.state == "running" and id not in self._cancelled:
                self._cancelled[id] = time.monotonic()
                if self._worker:
                    self._worker.send(Cancel(id))

    def warm(self) -> None:
        """Start the worker, so that the first job does not wait for torch to be imported."""
        with self._lock:
            self._warm()

    def close(self) -> None:
        """Start nothing more and end the worker, also in the middle of a job."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            if self._worker:
                self._worker.kill()
                self._worker.wait()
        self.unwritten.write()

    def _serve(self) -> None:
        while True:
            with self._wake:
                while not self._closed and (job := self._next()) is None:
                    self._wake.wait()
                if self._closed or job is None:
                    return
                self._following = job.id
                self._jobs[job.id] = replace(job, state="running", text="Starting", started=time.time())
            last = self._run(job)
            with self._lock:
                self._finish(replace(self._jobs[job.id], **last))
                self._following = None
                self._cancelled.pop(job.id, None)

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == "queued"), None)

    def _run(self, job: Job) -> dict[str, Any]:
        """The job's last state. It is given to another worker while none has begun it."""
        code = 0
        for _ in range(int(SENDS.value)):
            try:
                with self._lock:  # a Cancel comes before this or goes out behind the request
                    if self._closed or job.id in self._cancelled:
                        return {"state": "cancelled", "error": _ENDED}
                    worker = self._idle()
                    worker.send(job.request.to_message())
            except OSError as error:  # no memory for another process, say: the next job must still get its turn
                return {"state": "failed", "error": f"The worker cannot be started: {error}."}
            began, last = self._follow(worker, job.id)
            if last:
                return last
            code = worker.wait()
            with self._lock:
                self._warm()
            if began and job.id not in self._cancelled:
                return {"state": "failed", "error": f"The worker process ended {_by(code)} {_AMID}"}
        if job.id in self._cancelled:
            return {"state": "cancelled", "error": _ENDED}
        many = f"{SENDS.value:.0f} workers, one after the other, ended {_by(code)} before they began this job."
        return {"state": "failed", "error": f"{many} The server's log may say why; the machine may lack memory."}

    def _follow(self, worker: WorkerProcess, id: str) -> tuple[bool, dict[str, Any]]:
        """Copy the worker's messages into the job: whether it began, and its last state, empty when the worker ended
        before it said one."""
        began = False
        while True:
            try:
                message = worker.receive(_LOOK)
            except queue.Empty:
                if self._overdue(worker, id):
                    return began, {"state": "cancelled", "error": _ENDED}
                continue
            if message is None:
                return began, {}
            if getattr(message, "job", None) != id:
                continue
            began = True
            if last := self._take(message, id):
                return began, last

    def _take(self, message: Message, id: str) -> dict[str, Any]:
        """One message of the worker about the job: its last state, or empty if there is more to come."""
        match message:
            case Step():
                with self._lock:
                    self._jobs[id] = replace(self._jobs[id], fraction=message.fraction, text=message.text)
            case Done():
                return {"state": "done", "fraction": 1.0, "record": message.record}
            case Unwritten():
                self.unwritten.keep(message.record, message.text)
                return {"state": "done", "fraction": 1.0, "record": message.record, "error": message.error}
            case Failed():
                return {"state": "failed", "error": message.error}
            case Cancelled():
                return {"state": "cancelled", "error": message.error}
        return {}

    def _overdue(self, worker: WorkerProcess, id: str) -> bool:
        """Whether a cancelled job has had its time to stop, less of it where the worker says nothing; then another
        worker takes this one's place. Nobody waits for its end: the kernel may be what holds it."""
        with self._lock:
            asked = self._cancelled.get(id)
            waited = 0.0 if asked is None else time.monotonic() - asked
            if waited < NO_ANSWER.value and min(waited, worker.silent) < CANCEL_GRACE.value:
                return False
            worker.kill()
            self._worker = None
            self._warm()
            return True

    def _finish(self, job: Job) -> None:
        self._jobs[job.id] = replace(job, finished=time.time())

    def _idle(self) -> WorkerProcess:
        """A worker for the next job: not one that got stuck with nothing to do. Call with the lock held."""
        worker = self._worker
        if worker and worker.ready and worker.silent >= NO_ANSWER.value:
            worker.kill()
            self._worker = None
        return self._alive()

    def _alive(self) -> WorkerProcess:
        """The running worker, started anew if there is none. Call with the lock held."""
        if self._worker is None or not self._worker.running():
            self._worker = WorkerProcess()
        return self._worker

    def _warm(self) -> None:
        """Start a worker, so that whoever comes next need not wait for torch. Call with the lock held."""
        if not self._closed:
            with suppress(OSError):  # the next job says why
                self._alive()

    def _forget(self) -> None:
        """Keep the newest jobs only; records keep the results."""
        for id in [id for id, job in self._jobs.items() if job.state in FINISHED][: -MAX_REMEMBERED or None]:
            del self._jobs[id]


def _by(code: int) -> str:
    """How a process ended, by its exit code."""
    return f"by signal {-code}" if code < 0 else f"with code {code}"
