"""Workers for the seats: forked from a process in reserve whose imports are done, where there is one (Linux).

It has no model, no job and no device memory, and stays: a worker that dies again is replaced as fast as the first. It
is started when the other workers are ready, and not where memory is small.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from diag.jobs.forked import CAN_FORK, Reserve
from diag.jobs.memory import resident_bytes
from diag.jobs.process import WorkerProcess
from diag.jobs.slots import GENTLE, Slot
from diag.model.estimate import free_memory
from diag.results.thresholds_jobs import SPARE_MEMORY

_LOOK = 1.0  # seconds
_WAIT_MOST = 600.0  # seconds from one that was never ready to the next


class Spares:
    """Gives workers to seats as `start` does, of the reserve where there is one. Safe to ask from every thread."""

    def __init__(self, start: type[WorkerProcess], places: Sequence[Slot]) -> None:
        self._common = dict(set.intersection(*(set(slot.environment.items()) for slot in places)))
        self._firsts = len(places)  # workers that are nobody's successors
        self._start = start
        self._lock = threading.Lock()
        self._reserve: Reserve | None = None
        self._given: WorkerProcess | None = None  # the latest: the reserve takes no core while it starts
        self._failed = 0  # reserves in a row that were never ready
        self._not_before = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def __call__(self, slot: Slot) -> WorkerProcess:
        """A worker for the slot. OSError if none can be started."""
        with self._lock:
            worker, reserve = None, self._reserve
            if reserve is not None and reserve.ready and reserve.good:
                with suppress(OSError):  # it has just got stuck
                    worker = self._start(slot, reserve.fork(slot.environment))
            self._given = worker or self._start(slot)
            self._firsts -= 1
            if self._thread is None and CAN_FORK and not self._closed:
                self._thread = threading.Thread(target=self._keep, name="reserve", daemon=True)
                self._thread.start()
            return self._given

    def described(self) -> dict[str, Any] | None:
        """As a seat describes its worker; None where there is none."""
        with self._lock:
            reserve = self._reserve
            if reserve is None or not reserve.good:
                return None
            return {
                "slot": "spare",
                "gpu": False,
                "pid": reserve.process.pid,
                "ready": reserve.ready,
                "busy": False,
                "job": None,
                "silent_seconds": 0.0,
                "stuck": False,  # it is replaced by itself
                "resident_bytes": resident_bytes(reserve.process.pid),
                "models": [],
                "model_bytes": 0,
            }

    def close(self) -> None:
        """End it, and start none."""
        with self._lock:
            self._closed = True
            if self._reserve:
                self._reserve.kill()
                self._reserve.process.wait()

    def _keep(self) -> None:
        while True:
            time.sleep(_LOOK)
            with self._lock:
                if self._closed:
                    return
                with suppress(OSError, MemoryError, RuntimeError):  # no room for another process or thread now
                    self._look()

    def _look(self) -> None:
        """One that died or got stuck is replaced; one whose memory is needed goes."""
        free, reserve = free_memory(), self._reserve
        least = SPARE_MEMORY.value * 2**30
        if reserve is not None:
            if reserve.ready:
                self._failed = 0
            if not reserve.good:
                self._failed += not reserve.ready
                self._not_before = time.monotonic() + min(_WAIT_MOST, 2.0 ** min(self._failed, 10))
            elif free is None or free >= least / 2 or reserve.shared:
                return
            reserve.kill()
            self._reserve = None
        starting = self._given is not None and self._given.running() and not self._given.ready
        if not starting and time.monotonic() >= self._not_before and free is not None and free >= least:
            # After a death another one may come soon; else the pages go first.
            gentle = {GENTLE: "1"} if self._firsts >= 0 else {}
            self._reserve = Reserve(self._start.module, {**self._common, **gentle})
