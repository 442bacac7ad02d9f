"""Jobs that wait or run, as small files beside the evidence, so that a server that is started again queues them again.

    evidence/jobs/SERVER/ID.job     one job
    evidence/jobs/SERVER/held.lock  locked for as long as that server lives: its jobs are nobody else's

A server that ended, however it did, holds no lock (flock(2)); the next one to look takes its jobs over, each by one
rename. What is read is as untrusted as a link: it is validated as one, and the worker looks every name up again. The
files outlive the process; a power cut may take those of the last seconds.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from diag.case import Case
from diag.errors import InputError
from diag.evidence.files import read_regular
from diag.jobs.job import Job
from diag.jobs.protocol import JobKind, JobRequest
from diag.results import codec

try:
    import fcntl
except ImportError:  # Windows: nothing tells whether a server lives
    fcntl = None  # type: ignore[assignment]

MAX_BYTES = 64 * 1024  # of a file; a job of the pages has 400
MAX_JOBS = 500  # of one server
MAX_SERVERS = 64
BEGUN = 2  # servers that may be killed while they run a job, which may be why; then it is not begun again

_SERVER = re.compile(r"\.?[0-9a-f]{16}")  # with a dot while it is made
_LOCK = "held.lock"


@dataclass(frozen=True)
class _Kept:
    """What a file holds. begun: how many servers have begun the job."""

    kind: JobKind
    case: dict[str, str]
    ids: tuple[str, ...]
    stamp: str
    owners: tuple[str, ...]
    submitted: float
    batch: str
    begun: int


class WaitingJobs:
    """The files of this server. Safe to ask from every thread. Where nothing can be written or locked, nothing is
    kept."""

    def __init__(self, evidence_dir: Path) -> None:
        self.folder = evidence_dir / "jobs"
        self._lock = threading.Lock()
        self._own: Path | None = None  # made with the first job
        self._held = -1
        self._ended = fcntl is None

    def sync(self, id: str, look: Callable[[str], Job | None]) -> None:
        """Make the file of a job what `look` says now: there while the job waits or runs, and gone after it."""
        with self._lock:
            if self._ended:
                return
            job = look(id)
            with suppress(OSError, MemoryError):  # a full disk: the job runs all the same
                if job and job.active:
                    self._write(job)
                elif self._own:
                    (self._own / f"{id}.job").unlink(missing_ok=True)

    def take_over(self) -> list[Job]:
        """The jobs of servers that ended, which are this one's from now on, as they came. One that was begun too often
        is failed."""
        found: list[Job] = []
        with self._lock, suppress(OSError, MemoryError):
            if not self._ended and self.folder.is_dir():
                for theirs in sorted(self.folder.iterdir())[:MAX_SERVERS]:
                    if _SERVER.fullmatch(theirs.name) and not theirs.is_symlink() and theirs != self._own:
                        found += self._taken(theirs)
        return sorted(found, key=lambda job: job.submitted)

    def stop(self) -> None:
        """From now on the files stay as they are: what runs is about to be ended."""
        with self._lock:
            self._ended = True

    def release(self) -> None:
        """The jobs are those of the next server."""
        with self._lock:
            if self._own:
                _remove(self._own)
                os.close(self._held)
                self._own = None

    def _write(self, job: Job) -> None:
        own = self._home()
        kept = _Kept(
            kind=job.request.kind,
            case=job.request.case.to_query(),
            ids=job.request.ids,
            stamp=job.request.stamp,
            owners=job.owners,
            submitted=job.submitted,
            batch=job.batch,
            begun=job.begun,
        )
        data = codec.dumps(kept).encode()
        if len(data) > MAX_BYTES:
            return
        new = own / f"{job.id}.new"
        new.write_bytes(data)
        new.replace(own / f"{job.id}.job")

    def _home(self) -> Path:
        """The folder of this server, locked before it has its name."""
        if self._own is None:
            name = secrets.token_hex(8)
            new = self.folder / f".{name}"
            new.mkdir(parents=True)
            held = _locked(new)
            if held is None:
                _remove(new)
                raise OSError("no locks here")
            self._own, self._held = new.rename(self.folder / name), held
        return self._own

    def _taken(self, theirs: Path) -> Iterator[Job]:
        held = _locked(theirs)
        if held is None:  # its server lives
            return
        try:
            for path in sorted(theirs.glob("*.job"))[:MAX_JOBS]:
                job = _read(path)
                if job and job.active:
                    path.replace(self._home() / path.name)
                else:
                    with suppress(OSError):  # a folder in its place
                        path.unlink()
                if job:
                    yield job
            _remove(theirs)
        finally:
            os.close(held)


def _locked(folder: Path) -> int | None:
    """A handle that locks the folder until it is closed; None where somebody else does. OSError without the folder."""
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except OSError:
        os.close(handle)
        return None


def _remove(folder: Path) -> None:
    """The folder, if no job is left in it."""
    if any(folder.glob("*.job")):
        return
    for path in (*folder.glob("*.new"), folder / _LOCK):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # what somebody else has put there
        folder.rmdir()


def _read(path: Path) -> Job | None:
    """The job of a file, None if it is none."""
    try:
        data = read_regular(path, MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            return None
        kept = codec.decode(_Kept, json.loads(data), path.name)
        request = JobRequest(kept.kind, Case.from_query(kept.case), kept.ids, kept.stamp)
    except (OSError, ValueError, RecursionError, InputError):
        return None
    texts = (*kept.owners, kept.batch, kept.stamp, *kept.ids, *kept.case.values())
    if request.id != path.stem or not math.isfinite(kept.submitted) or not all(map(str.isprintable, texts)):
        return None
    job = Job(
        request.id,
        request,
        kept.owners,
        submitted=kept.submitted,
        batch=kept.batch,
        begun=kept.begun,
        resumed=True,
    )
    if kept.begun < BEGUN:
        return job
    why = f"{kept.begun} servers, one after the other, were killed while they ran this job. Run it again."
    return replace(job, state="failed", error=why, finished=time.time())
