"""A worker that is stopped, killed as a job comes, or does not read: real processes and real signals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from diag.case import Case
from diag.jobs import process as process_module
from diag.jobs import queue as queue_module
from diag.jobs import seat as seat_module
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from diag.results.thresholds_jobs import CANCEL_GRACE, HEARTBEAT, NO_ANSWER
from diag.ui.shell import server
from tests.jobs.test_job_queue import BROKEN, HEALTHY, LONG, SHARD, measure, wait

IN_THE_INSTANT = 3


def until(true: Callable[[], object], seconds: float = 60.0) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds
        time.sleep(0.02)
    return time.monotonic() - began


def running(jobs: JobQueue, stamp: str = "") -> tuple[str, int]:
    """A long job in the middle of its work: its id, and the worker's pid."""
    long = jobs.submit(JobRequest("test", Case(SHARD, BROKEN, HEALTHY, LONG, device="cpu"), stamp=stamp))
    until(lambda: jobs.get(long.id).fraction > 0)  # type: ignore[union-attr]
    return long.id, pid(jobs)


def pid(jobs: JobQueue) -> int:
    assert jobs.seats[0].worker is not None
    return jobs.seats[0].worker.pid


def ready(jobs: JobQueue) -> int:
    """An idle worker that has loaded torch: its pid."""
    jobs.warm()
    until(lambda: (w := jobs.seats[0].worker) is not None and w.ready)
    return pid(jobs)


def _page() -> None:
    """A script of Streamlit: whatever job the link names."""
    from diag.ui.shell import run

    run.panel(None, "measure", everything=True)  # type: ignore[arg-type]  # what is picked does not matter


def test_a_stopped_worker_is_said_and_goes_on_when_it_is_let(jobs: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (queue_module, seat_module):
        monkeypatch.setattr(module, "NO_ANSWER", replace(NO_ANSWER, value=3.0))
    id, worker = running(jobs)
    behind = jobs.submit(measure())
    os.kill(worker, signal.SIGSTOP)
    assert until(lambda: jobs.get(id).silent) > 1  # type: ignore[union-attr]
    stuck, waits = jobs.get(id), jobs.get(behind.id)
    assert stuck and stuck.state == "running" and stuck.silent >= 3 and waits and waits.silent >= 3
    monkeypatch.setattr(server, "_queue", jobs)
    for name in (id, behind.id):
        page = AppTest.from_function(_page)
        page.query_params["job"] = name
        assert "No answer for" in page.run().warning[0].value
    os.kill(worker, signal.SIGCONT)
    assert until(lambda: not jobs.get(id).silent) < 2 * HEARTBEAT.value + 1  # type: ignore[union-attr]
    jobs.cancel(id)
    assert wait(jobs, id).state == "cancelled" and pid(jobs) == worker


def spare(jobs: JobQueue) -> dict[str, Any]:
    """The worker in reserve, once there is one."""
    rows: list[dict[str, Any]] = []

    def there() -> bool:
        rows[:] = jobs.workers()
        return len(rows) == 2

    until(there)
    return rows[1]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_workers_that_die_one_after_the_other_are_forked_anew_at_once(spared: JobQueue) -> None:
    """The first is stopped, and Cancel ends it; the next two are killed. A reserve that is stopped is replaced."""
    jobs = spared
    id, worker = running(jobs)
    behind = jobs.submit(measure())
    os.kill(worker, signal.SIGSTOP)
    os.kill(first := spare(jobs)["pid"], signal.SIGSTOP)
    until(lambda: spare(jobs)["pid"] != first)
    until(lambda: spare(jobs)["ready"], 120)
    reserve = spare(jobs)
    assert reserve["slot"] == "spare" and reserve["resident_bytes"] > 100 << 20 and reserve["models"] == []
    asked = time.monotonic()
    jobs.cancel(id)
    ended = wait(jobs, id)
    assert ended.state == "cancelled" and "worker with it" in ended.error
    assert CANCEL_GRACE.value <= time.monotonic() - asked < CANCEL_GRACE.value + 2
    until(lambda: jobs.get(behind.id).text not in ("Waiting", "Starting"))  # type: ignore[union-attr]
    took = time.monotonic() - asked
    assert took < CANCEL_GRACE.value + 10, f"the next job began {took:.1f} s after Cancel"
    assert wait(jobs, behind.id).state == "done"
    for number in range(2):
        assert parent(pid(jobs)) == spare(jobs)["pid"] == reserve["pid"]
        id, worker = running(jobs, str(number))
        os.kill(worker, signal.SIGKILL)
        failed = wait(jobs, id)
        assert failed.state == "failed" and "ended by signal 9 in the middle" in failed.error
        assert wait(jobs, jobs.submit(replace(measure(), stamp=f"after {number}")).id).state == "done"
        assert pid(jobs) != worker


def test_a_job_submitted_as_the_worker_dies_is_done_by_the_next_one(jobs: JobQueue) -> None:
    done = 0
    for number in range(IN_THE_INSTANT):
        os.kill(ready(jobs), signal.SIGKILL)
        job = jobs.submit(replace(measure(), stamp=str(number)))
        done += wait(jobs, job.id).state == "done"
    assert done == IN_THE_INSTANT


def test_a_worker_that_cannot_start_fails_the_job_and_not_for_ever(
    cold: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its interpreter ends at once, as that of a broken installation does."""
    monkeypatch.setattr(process_module.sys, "executable", "/bin/false")
    failed = wait(cold, cold.submit(measure()).id)
    assert failed.state == "failed" and "3 workers" in failed.error and "with code 1 before" in failed.error
    monkeypatch.undo()
    assert wait(cold, cold.submit(replace(measure(), stamp="again")).id).state == "done"


def test_a_full_pipe_holds_up_nobody(jobs: JobQueue) -> None:
    """A request larger than the pipe (64 KiB on Linux) for a worker that does not read."""
    worker = ready(jobs)
    os.kill(worker, signal.SIGSTOP)
    large = jobs.submit(replace(measure(), ids=("H4A",) * 60_000))
    wait(jobs, large.id, ("running",))
    time.sleep(0.5)
    began = time.monotonic()
    for number in range(5):
        jobs.get(jobs.submit(replace(measure(), stamp=str(number))).id)
    jobs.cancel(large.id)
    assert time.monotonic() - began < 0.1
    assert wait(jobs, large.id).state == "cancelled"
    assert all(wait(jobs, replace(measure(), stamp=str(n)).id).state == "done" for n in range(5))


def test_a_worker_that_got_stuck_with_nothing_to_do_is_replaced(
    jobs: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (queue_module, seat_module):
        monkeypatch.setattr(module, "NO_ANSWER", replace(NO_ANSWER, value=3.0))
    worker = ready(jobs)
    os.kill(worker, signal.SIGSTOP)
    time.sleep(3.5)
    assert wait(jobs, jobs.submit(measure()).id).state == "done" and pid(jobs) != worker
