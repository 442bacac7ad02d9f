"""A queue whose workers are forked from one process in reserve, as a server's are after a death: importing torch takes
seven seconds of processor time for each that is started.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from diag.jobs.forked import CAN_FORK, Reserve
from diag.jobs.process import WorkerProcess
from diag.jobs.queue import JobQueue
from diag.jobs.slots import Slot

SETTINGS = ("SUBRANDOM_EVIDENCE", "SUBRANDOM_ROOTS")  # what a test sets for its worker


@contextmanager
def forked_queue() -> Iterator[JobQueue]:
    """Closed at the end, with its worker."""
    if CAN_FORK:
        _reserve()  # by this thread: it ends with the one that started it
    queue = JobQueue(start=_forked) if CAN_FORK else JobQueue()
    try:
        yield queue
    finally:
        queue.close()


def _forked(slot: Slot) -> WorkerProcess:
    settings = {name: os.environ.get(name, "") for name in SETTINGS}
    return WorkerProcess(slot, _reserve().fork({**slot.environment, **settings}))


@cache
def _reserve() -> Reserve:
    """Of this process, which it ends with."""
    reserve = Reserve(WorkerProcess.module, {})
    end = time.monotonic() + 120
    while not reserve.ready:
        assert reserve.good and time.monotonic() < end
        time.sleep(0.05)
    return reserve
