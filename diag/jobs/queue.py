"""The queue in front of the worker: bounded, first come first served, safe to ask from every session at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from diag.errors import InputError
from diag.installation import child_environment
from diag.jobs.protocol import Cancel, Cancelled, Done, Failed, JobRequest, Message, Step, Unwritten, parse, to_line
from diag.jobs.unwritten import UnwrittenRecords

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
MAX_WAITING = 8
MAX_REMEMBERED = 200
FINISHED: tuple[JobState, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """A snapshot of one job. Times are epoch seconds; `ahead` counts the jobs that run before it. `error` of a job that
    is done: why its record could not be written at once."""

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


class JobQueue:
    """Owns the worker process. Every method returns at once; a thread of its own does the waiting."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._wake = threading.Condition(self._lock)
        self._worker: subprocess.Popen[str] | None = None
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
            if job and job.state == "queued":
                ids = [j.id for j in self._jobs.values() if j.state in ("queued", "running")]
                job = replace(job, ahead=ids.index(id))
            return job

    def cancel(self, id: str) -> None:
        """Stop a job: at once when it waits, at the next batch when it runs."""
        with self._wake:
            job = self._jobs.get(id)
            if job and job.state == "queued":
                self._jobs[id] = replace(job, state="cancelled", error="Cancelled before it started.")
            elif job and job.state == "running" and self._worker and self._worker.stdin:
                self._write(self._worker, Cancel(id))

    def warm(self) -> None:
        """Start the worker, so that the first job does not wait for torch to be imported."""
        with self._wake:
            self._alive()

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
                self._jobs[job.id] = replace(job, state="running", text="Starting", started=time.time())
                try:
                    worker = self._alive()
                except OSError as error:  # no memory for another process, say: the next job must still get its turn
                    self._finish(replace(job, state="failed", error=f"The worker cannot be started: {error}."))
                    continue
                self._write(worker, job.request.to_message())
            self._follow(worker, job.id)

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == "queued"), None)

    def _follow(self, worker: subprocess.Popen[str], id: str) -> None:
        """Copy the worker's messages into the job until it has finished, one way or another."""
        for message in self._messages(worker):
            with self._lock:
                job = self._jobs[id]
                match message:
                    case Step(job=about) if about == id:
                        self._jobs[id] = replace(job, fraction=message.fraction, text=message.text)
                    case Done(job=about) if about == id:
                        self._finish(replace(job, state="done", fraction=1.0, record=message.record))
                        return
                    case Unwritten(job=about) if about == id:
                        self.unwritten.keep(message.record, message.text)
                        self._finish(
                            replace(job, state="done", fraction=1.0, record=message.record, error=message.error)
                        )
                        return
                    case Failed(job=about) if about == id:
                        self._finish(replace(job, state="failed", error=message.error))
                        return
                    case Cancelled(job=about) if about == id:
                        self._finish(replace(job, state="cancelled", error=message.error))
                        return
        code = worker.wait()
        why = f"by signal {-code}" if code < 0 else f"with code {code}"
        with self._lock:
            self._finish(
                replace(
                    self._jobs[id],
                    state="failed",
                    error=f"The worker process ended {why} in the middle of this job, and nothing was recorded. "
                    "Run it again: a new worker starts by itself. If it happens again, the machine may lack memory.",
                )
            )

    def _finish(self, job: Job) -> None:
        self._jobs[job.id] = replace(job, finished=time.time())

    def _messages(self, worker: subprocess.Popen[str]) -> Iterator[Message]:
        assert worker.stdout is not None
        for line in worker.stdout:
            message = parse(line)
            if message:
                yield message

    def _alive(self) -> subprocess.Popen[str]:
        """The running worker, started anew if there is none. Call with the lock held."""
        if self._worker is None or self._worker.poll() is not None:
            self._worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "diag.jobs.worker"],  # -P: nothing of the current folder
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                env=child_environment(),
            )
        return self._worker

    @staticmethod
    def _write(worker: subprocess.Popen[str], message: Message) -> None:
        assert worker.stdin is not None
        try:
            worker.stdin.write(to_line(message) + "\n")
            worker.stdin.flush()
        except OSError:  # it has just died: `_follow` reads the end of its output and says so
            pass

    def _forget(self) -> None:
        """Keep the newest jobs only; records keep the results."""
        for id in [id for id, job in self._jobs.items() if job.state in FINISHED][: -MAX_REMEMBERED or None]:
            del self._jobs[id]
