"""The worker: the one process that imports torch. Reads requests on stdin, answers on stdout, ends with stdin.

    python -m diag.jobs.worker

It trusts no request: names are looked up in its own scan of the configured roots, so that nothing outside them can be
opened whoever writes to its stdin.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TextIO

from diag import errors
from diag.case import Case
from diag.catalogue import other_tokenizers, scan
from diag.errors import InputError, in_words
from diag.evidence.records import NotWritten, check_writable, write_record
from diag.jobs.memory import resident_bytes
from diag.jobs.protocol import (
    Beat,
    Began,
    Cancel,
    Cancelled,
    Done,
    Failed,
    Holds,
    Learnt,
    Message,
    Ready,
    Run,
    Step,
    Stop,
    Unwritten,
    parse,
    to_line,
)
from diag.jobs.slots import GENTLE, WORKERS_ON_DEVICE
from diag.limits import JOB_SECONDS
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Diagnosis
from diag.results.thresholds_jobs import HEARTBEAT
from diag.settings import limit, load_settings

if TYPE_CHECKING:
    from diag.evidence.records import Record
    from diag.jobs.inputs import Inputs
    from diag.progress import Progress

# The page process goes first where both want a core: eight people wait for it, and for a job one.
NICENESS = 10
# A message at most this often: a page polls twice a second, and the pipe is not for logging.
PROGRESS_STEP = 0.005
POISONED = 70  # exit code, EX_SOFTWARE


class Worker:
    """Runs one request at a time; cancelling takes effect at the next batch of sequences."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.requests: queue.Queue[Run] = queue.Queue()
        self.cancelled: set[str] = set()
        self.stopped: set[str] = set()
        self._one_at_a_time = threading.Lock()

    def send(self, message: Message) -> None:
        """One line to the page process."""
        with self._one_at_a_time:
            self.out.write(to_line(message) + "\n")
            self.out.flush()

    def beat(self) -> None:
        """Say every second that this process runs, also while torch is imported and a batch is computed."""
        with suppress(OSError):  # the page process has gone, and `listen` ends this one
            while True:
                self.send(Beat(os.getpid()))
                time.sleep(HEARTBEAT.value)

    def listen(self, stdin: TextIO) -> None:
        """Read until the page process is gone, then end at once, also in the middle of a job: no orphans."""
        for line in stdin:
            match parse(line):
                case Cancel(job):
                    self.cancelled.add(job)
                case Stop(job):
                    self.stopped.add(job)
                case Run() as request:
                    self.cancelled.discard(request.job)  # a cancel that came too late for the run before
                    self.stopped.discard(request.job)
                    self.requests.put(request)
        os._exit(0)

    def run_forever(self) -> None:
        """Answer requests, one after the other."""
        from diag.jobs import models, tasks  # torch: seconds and hundreds of MB, in this process only

        if GENTLE not in os.environ:
            step_back()
        models.keep(int(os.environ.get(WORKERS_ON_DEVICE, "1")))
        self.send(Ready(os.getpid(), tasks.versions()))
        while True:
            self.answer(self.requests.get())

    def answer(self, request: Run) -> None:
        """Run one request to its last message; whatever happens, there is exactly one. What is kept is said before it:
        the queue hears a worker only while a job of it runs."""
        from diag.jobs import models

        job, done = request.job, False
        self.send(Began(job))
        last: Done | Unwritten | Cancelled | Failed
        try:
            last, done = self._run(request), True
        except errors.Cancelled:
            last = Cancelled(job, "Stopped on request; nothing was recorded.")
        except errors.Enough as enough:
            last = Cancelled(job, f"{enough}, before anything was known. Nothing was recorded.")
        except InputError as error:
            last = Failed(job, str(error))
        except Exception as error:  # the next job must still run
            traceback.print_exc()
            last = Failed(job, f"{in_words(error)} The server's log has the details.")
            if poisoned(error):
                self.send(last)
                os._exit(POISONED)  # the next job gets a worker that can compute
        self.cancelled.discard(job)
        self.stopped.discard(job)
        models.KEPT.settle(attested=done)
        self.send(Holds(os.getpid(), models.KEPT.held, resident_bytes()))
        self.send(last)

    def _run(self, request: Run) -> Done | Unwritten:
        from diag.jobs import from_record
        from diag.jobs.inputs import open_inputs

        said, most, ended = -1.0, limit(JOB_SECONDS), False
        began = time.monotonic()

        def progress(fraction: float | None, text: str) -> None:
            nonlocal said, ended
            if request.job in self.cancelled:
                raise errors.Cancelled
            if not ended and (request.job in self.stopped or time.monotonic() - began > most):
                ended = True  # once: what is concluded from what is known is not ended again
                by_limit = f"Stopped at the limit of {most:,} s"
                raise errors.Enough("Stopped on request" if request.job in self.stopped else by_limit)
            if fraction is not None and fraction - said >= PROGRESS_STEP:
                said = fraction
                self.send(Step(request.job, fraction, text))

        settings = load_settings()  # anew for each job, as every page reads them anew
        check_writable(settings.evidence_dir)
        found = scan(settings)
        inputs = open_inputs(Case.from_query(request.case), found.resolve, partial(other_tokenizers, found))
        if request.kind in from_record.WORK:
            record = from_record.run(request.kind, request.ids, inputs, settings, progress)
        else:
            record = self._recorded(request, inputs, progress)
        try:
            write_record(settings.evidence_dir, record)
        except NotWritten as error:
            return Unwritten(request.job, record.id, error.text, str(error))
        return Done(request.job, record.id)

    def _recorded(self, request: Run, inputs: Inputs, progress: Progress) -> Record:
        from diag.jobs import tasks

        result: BaselineResult | Diagnosis
        if request.kind == "measure":
            result = tasks.measured(inputs, progress)
        else:
            says = lambda name, text: self.send(Learnt(request.job, name, text))  # noqa: E731
            result = tasks.test(inputs, request.ids, progress, says)
        return tasks.record(inputs, result)


def step_back() -> None:
    """From now on the pages' process goes first."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)


def poisoned(error: Exception) -> bool:
    """Whether the CUDA context is lost to this process: every later call in it fails too (CUDA's sticky errors)."""
    name, text = type(error).__name__, str(error)
    return name != "OutOfMemoryError" and (name == "AcceleratorError" or "CUDA error" in text or "CUBLAS_" in text)


def main() -> None:
    """Keep stdout for messages: whatever a library prints goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if GENTLE in os.environ:
        step_back()
    worker = Worker(out)
    threading.Thread(target=worker.listen, args=(sys.stdin,), daemon=True).start()
    threading.Thread(target=worker.beat, daemon=True).start()
    worker.run_forever()


if __name__ == "__main__":
    main()
