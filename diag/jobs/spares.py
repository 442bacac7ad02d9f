"""A worker in reserve: its imports are done, and it takes the seat of one that died at once.

It has no model, no job and no device memory: the seat's device is named to it when it sits down, before CUDA is used
for the first time. One for all seats. It is started when the other workers are ready, and not where memory is small.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from diag.jobs.memory import resident_bytes
from diag.jobs.protocol import Place
from diag.jobs.seat import Start, Worker
from diag.jobs.slots import GENTLE, Slot
from diag.model.estimate import free_memory
from diag.results.thresholds_jobs import NO_ANSWER, SPARE_MEMORY, UNBEGUN

_LOOK = 1.0  # seconds
_WAIT_MOST = 600.0  # seconds from one that was never ready to the next


class Spares:
    """Gives workers to seats as `start` does, the spare one where there is one. Safe to ask from every thread."""

    def __init__(self, start: Start, places: Sequence[Slot]) -> None:
        common = set.intersection(*(set(slot.environment.items()) for slot in places))
        self._slot = Slot("spare", False, dict(common))
        self._firsts = len(places)  # workers that are nobody's successors
        self._start = start
        self._lock = threading.Lock()
        self._spare: Worker | None = None
        self._given: Worker | None = None  # the latest: no spare takes a core while it starts
        self._failed = 0  # spares in a row that were never ready
        self._not_before = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def __call__(self, slot: Slot) -> Worker:
        """A worker for the slot. OSError if none can be started."""
        with self._lock:
            worker, self._spare = self._spare, None
            if worker is not None and not self._good(worker):
                worker.kill()
                worker = None
            if worker is None:
                worker = self._start(slot)
            else:
                worker.send(Place(dict(slot.environment)))
            self._given = worker
            self._firsts -= 1
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._keep, name="spare worker", daemon=True)
                self._thread.start()
            return worker

    def described(self) -> dict[str, Any] | None:
        """As a seat describes its worker; None where there is none."""
        with self._lock:
            worker = self._spare
            if worker is None or not worker.running():
                return None
            return {
                "slot": self._slot.name,
                "gpu": False,
                "pid": worker.pid,
                "ready": worker.ready,
                "busy": False,
                "job": None,
                "silent_seconds": worker.silent,
                "stuck": False,  # it is replaced by itself
                "resident_bytes": resident_bytes(worker.pid),
                "models": [],
                "model_bytes": 0,
            }

    def close(self) -> None:
        """End it, and start none."""
        with self._lock:
            self._closed = True
            if self._spare:
                self._spare.kill()
                self._spare.wait()

    def _keep(self) -> None:
        while True:
            time.sleep(_LOOK)
            with self._lock:
                if self._closed:
                    return
                with suppress(OSError, MemoryError):  # no room for another process now
                    self._look()

    def _look(self) -> None:
        """One that died or got stuck is replaced; one whose memory is needed goes."""
        free, spare = free_memory(), self._spare
        least = SPARE_MEMORY.value * 2**30
        if spare is not None:
            if spare.ready:
                self._failed = 0
            if not self._good(spare):
                self._failed += not spare.ready
                self._not_before = time.monotonic() + min(_WAIT_MOST, 2.0 ** min(self._failed, 10))
            elif free is None or free >= least / 2:
                return
            spare.kill()
            self._spare = None
        starting = self._given is not None and self._given.running() and not self._given.ready
        if not starting and time.monotonic() >= self._not_before and free is not None and free >= least:
            # After a death another one may come soon; else the pages go first.
            gentle = {GENTLE: "1"} if self._firsts >= 0 else {}
            self._spare = self._start(replace(self._slot, environment={**self._slot.environment, **gentle}))

    def _good(self, worker: Worker) -> bool:
        """Whether it can take a seat: it runs, and says so. Imports hold the interpreter for seconds."""
        return worker.running() and worker.silent < (UNBEGUN.value if worker.ready else NO_ANSWER.value)
