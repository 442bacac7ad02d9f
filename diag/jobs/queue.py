"""The queue in front of the workers: bounded, fair between people, safe to ask from every session at once.

    request ─▶ in_turn (job.py) ─▶ a seat whose slot serves it (seat.py) ─▶ worker ─▶ messages ─▶ Job ─▶ pages

One thread a seat. The lock guards jobs and seats, and is never held while a pipe or a process is waited for.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from diag.errors import InputError
from diag.jobs.job import FINISHED, Job, in_turn
from diag.jobs.process import WorkerProcess
from diag.jobs.protocol import JobRequest, Learnt, Message, Step, Unwritten
from diag.jobs.seat import Seat, Start
from diag.jobs.slots import Slot, serves
from diag.jobs.spares import Spares
from diag.jobs.unwritten import UnwrittenRecords
from diag.jobs.waiting import WaitingJobs
from diag.results.thresholds_jobs import NO_ANSWER

MAX_WAITING = 8  # of one person, beside batches
MAX_WAITING_IN_ALL = 64
MAX_REMEMBERED = 200
_LATE = (2.0, 5.0, 10.0, 20.0)  # seconds after which a server that was still ending may have ended


class JobQueue:
    """Owns the workers. Every method returns at once; a thread a seat does the waiting."""

    def __init__(
        self,
        places: Sequence[Slot] = (Slot("cpu", False),),
        start: Start = WorkerProcess,
        spare: bool = False,
        kept: WaitingJobs | None = None,
    ) -> None:
        """spare: whether a process is kept ready for the place of a worker of this machine that dies. kept: where jobs
        outlive this process; those of one that ended are queued first."""
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._wake = threading.Condition(self._lock)
        self._served: dict[str, int] = {}  # by owner: the number of the last turn
        self._turn = 0
        self._closed = False
        self.unwritten = UnwrittenRecords()
        self._spares = Spares(start, places) if spare and isinstance(start, type) else None
        self._kept = kept
        self._resume()
        self.seats = [Seat(slot, self._lock, self._hear, self._spares or start) for slot in places]
        for seat in self.seats:
            threading.Thread(target=self._serve, args=(seat,), name=f"seat {seat.slot.name}", daemon=True).start()
        if kept:
            threading.Thread(target=self._resume_late, name="jobs of a server that ended", daemon=True).start()

    def submit(self, request: JobRequest, owner: str = "", *, again: bool = False, batch: str = "") -> Job:
        """Queue a request, or join the job that already asks the same, or has answered it. again: an answer is not
        enough. InputError when too many wait."""
        with self._wake:
            known = self._jobs.get(request.id)
            if known and (known.active or (known.state == "done" and not again)):
                if owner not in known.owners:
                    known = self._jobs[request.id] = replace(known, owners=(*known.owners, owner))
                job = known
            else:
                if not batch:
                    self._refuse_too_many(owner)
                self._jobs.pop(request.id, None)
                job = Job(request.id, request, (owner,), submitted=time.time(), batch=batch)
                self._jobs[request.id] = job
                self._forget()
                self._wake.notify_all()
        self._keep(job.id)
        return job

    def get(self, id: str) -> Job | None:
        """The job as it stands, or None for an id this server does not know."""
        with self._lock:
            job = self._jobs.get(id)
            return job if job is None or not job.active else self._view(job, self._order())

    def all_jobs(self) -> list[Job]:
        """Every job that this server remembers: those that run, those that wait in their order, those that are
        finished, the latest first."""
        with self._lock:
            order = self._order()
            running = [job for job in self._jobs.values() if job.state == "running"]
            finished = [job for job in self._jobs.values() if job.state in FINISHED]
            active = [self._view(job, order) for job in (*running, *order)]
            return active + sorted(finished, key=lambda job: -job.finished)

    def workers(self) -> list[dict[str, Any]]:
        """Each worker, the spare one last, for its operator: slot, process, job, what it keeps."""
        with self._lock:
            spare = self._spares.described() if self._spares else None
            return [*(seat.described() for seat in self.seats), *([spare] if spare else [])]

    def cancel(self, id: str) -> None:
        """Stop a job: at once when it waits, at the next batch when it runs. A worker that says nothing for two
        seconds, or does not stop within twenty, is killed."""
        with self._wake:
            job = self._jobs.get(id)
            if job and job.state == "queued":
                over = {"state": "cancelled", "error": "Cancelled before it started.", "finished": time.time()}
                self._jobs[id] = replace(job, **over)  # type: ignore[arg-type]
            elif job and job.state == "running":
                for seat in self.seats:
                    if seat.job == id:
                        seat.cancel()
        self._keep(id)

    def conclude(self, id: str) -> None:
        """Have a job that runs conclude from what it knows, at the next batch."""
        with self._wake:
            job = self._jobs.get(id)
            if job and job.state == "running" and not job.stopping:
                self._jobs[id] = replace(job, stopping=True)
                for seat in self.seats:
                    if seat.job == id:
                        seat.conclude()

    def warm(self) -> None:
        """Start the workers, so that the first jobs do not wait for torch to be imported."""
        with self._lock:
            for seat in self.seats:
                seat.warm()

    def close(self) -> None:
        """Start nothing more and end the workers, also in the middle of a job."""
        with self._wake:
            running = [job for job in self._jobs.values() if job.state == "running"]
            # None of them is why this server ends.
            self._jobs |= {job.id: replace(job, begun=job.begun - 1) for job in running}
        for job in running:
            self._keep(job.id)
        if self._kept:
            self._kept.stop()
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            for seat in self.seats:
                seat.close()
        if self._spares:
            self._spares.close()
        if self._kept:
            self._kept.release()
        self.unwritten.write()

    def _serve(self, seat: Seat) -> None:
        while True:
            with self._wake:
                while not self._closed and (job := self._next(seat)) is None:
                    self._wake.wait()
                if self._closed or job is None:
                    return
                seat.take(job.id)
                self._turn += 1
                self._served |= dict.fromkeys(job.owners, self._turn)
                begun = {"state": "running", "text": "Starting", "started": time.time(), "slot": seat.slot.name}
                begun |= {"begun": job.begun + 1}
                job = self._jobs[job.id] = replace(job, **begun)  # type: ignore[arg-type]
                self._wake.notify_all()  # what was left for this seat may be another's now
            self._keep(job.id)
            last = seat.run(job)
            with self._lock:
                self._jobs[job.id] = replace(self._jobs[job.id], finished=time.time(), **last)
                seat.let_go()
            self._keep(job.id)

    def _keep(self, id: str) -> None:
        """Its file as the job stands now. Without the lock: the disk may be slow."""
        if self._kept:
            self._kept.sync(id, self._jobs.get)

    def _resume(self) -> None:
        """Queue the jobs of servers that ended."""
        found = self._kept.take_over() if self._kept else []
        with self._wake:
            for job in found:
                self._jobs.setdefault(job.id, job)
            self._wake.notify_all()
        for job in found:
            self._keep(job.id)

    def _resume_late(self) -> None:
        for seconds in _LATE:
            time.sleep(seconds)
            self._resume()

    def _next(self, seat: Seat) -> Job | None:
        """The first in turn that the seat serves; but one whose model a free seat keeps is left to that."""
        every = [each.slot for each in self.seats]
        free = [each for each in self.seats if each.job is None and each is not seat]
        for job in self._order():
            device = job.request.case.device
            if not serves(seat.slot, device, every):
                continue
            if seat.warm_for(job) or not any(e.warm_for(job) and serves(e.slot, device, every) for e in free):
                return job
        return None

    def _order(self) -> list[Job]:
        return in_turn((job for job in self._jobs.values() if job.state == "queued"), self._served)

    def _view(self, job: Job, order: Sequence[Job]) -> Job:
        """The job with what changes by itself."""
        if job.state == "queued":
            busy = [seat for seat in self.seats if seat.job]
            before = order.index(job) + (len(busy) if len(busy) == len(self.seats) else 0)
            silent = max((seat.silent for seat in busy), default=0.0) if len(busy) == len(self.seats) else 0.0
        else:
            before, silent = 0, max((seat.silent for seat in self.seats if seat.job == job.id), default=0.0)
        return replace(job, ahead=before, silent=silent if silent >= NO_ANSWER.value else 0.0)

    def _hear(self, message: Message) -> None:
        """One message of a worker about its job."""
        match message:
            case Step(id, fraction, text):
                with self._lock:
                    self._jobs[id] = replace(self._jobs[id], fraction=fraction, text=text)
            case Learnt(id, name):
                with self._lock:
                    job = self._jobs[id]
                    others = tuple(each for each in job.learnt if each.name != name)
                    self._jobs[id] = replace(job, learnt=(*others, message))
            case Unwritten():
                self.unwritten.keep(message.record, message.text)

    def _refuse_too_many(self, owner: str) -> None:
        waiting = [job for job in self._jobs.values() if job.state == "queued" and not job.batch]
        mine = sum(owner in job.owners for job in waiting)
        if mine >= MAX_WAITING or len(waiting) >= MAX_WAITING_IN_ALL:
            whose = f"{mine} jobs of yours" if mine >= MAX_WAITING else f"{len(waiting)} jobs"
            raise InputError(f"{whose} are waiting already.", fix="Try again when one has finished, or cancel one.")

    def _forget(self) -> None:
        """Keep the newest jobs only; records keep the results."""
        for id in [id for id, job in self._jobs.items() if job.state in FINISHED][: -MAX_REMEMBERED or None]:
            del self._jobs[id]
