"""The queue with its real worker process: one job after the other, cancelled, killed, refused, and again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from diag.case import Case, Window
from diag.errors import InputError
from diag.evidence.records import read_record
from diag.jobs import queue as queue_module
from diag.jobs.job import FINISHED, Job
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue

SHARD, HEALTHY = "demo/shards/stdlib", "demo/checkpoints/healthy"
BROKEN = "demo/checkpoints/h4a-random-head"
LONG = Window(16, 4, 512)  # minutes on two cores
SHORT = Window(1, 2, 64)


def wait(jobs: JobQueue, id: str, until: tuple[str, ...] = FINISHED, seconds: float = 180) -> Job:
    """Poll like a page does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = jobs.get(id)
        assert job is not None
        if job.state in until:
            return job
        time.sleep(0.1)
    raise AssertionError(f"still {job.state}: {job.text}")


def measure(checkpoint: str = HEALTHY, window: Window = SHORT) -> JobRequest:
    return JobRequest("measure", Case(SHARD, checkpoint, window=window, device="cpu"))


def test_a_measurement_ends_in_a_record_and_asking_again_is_the_same_job(jobs: JobQueue, evidence: Path) -> None:
    first = jobs.submit(measure())
    done = wait(jobs, first.id)
    assert done.state == "done" and done.fraction == 1.0 and done.record
    found = read_record(evidence, done.record).baseline
    assert found.measurement and found.tokens == 128 and found.zone == "plausible"
    assert jobs.submit(measure()).record == done.record
    changed = JobRequest("measure", measure().case, stamp="the file changed")
    assert changed.id != first.id


def test_a_killed_worker_is_said_and_the_next_job_runs(jobs: JobQueue) -> None:
    long = jobs.submit(JobRequest("test", Case(SHARD, BROKEN, HEALTHY, LONG, device="cpu")))
    while wait(jobs, long.id, ("running",)).fraction == 0:
        time.sleep(0.1)
    assert jobs.seats[0].worker is not None
    os.kill(jobs.seats[0].worker.pid, signal.SIGKILL)
    failed = wait(jobs, long.id)
    assert failed.state == "failed" and "signal 9" in failed.error and "Run it again" in failed.error
    assert wait(jobs, jobs.submit(measure()).id).state == "done"


def test_a_running_job_is_cancelled_at_the_next_batch_and_the_worker_lives_on(jobs: JobQueue, evidence: Path) -> None:
    long = jobs.submit(JobRequest("test", Case(SHARD, BROKEN, HEALTHY, LONG, device="cpu")))
    behind = jobs.submit(measure())
    assert jobs.get(behind.id).ahead == 1  # type: ignore[union-attr]
    while wait(jobs, long.id, ("running",)).fraction == 0:
        time.sleep(0.1)
    worker = jobs.seats[0].worker
    jobs.cancel(long.id)
    assert wait(jobs, long.id).state == "cancelled"
    assert wait(jobs, behind.id).state == "done" and jobs.seats[0].worker is worker
    assert len(list((evidence / "records").glob("*.json"))) == 1


def test_names_outside_the_roots_are_refused_by_the_worker_itself(jobs: JobQueue) -> None:
    failed = wait(jobs, jobs.submit(measure("../../etc")).id)
    assert failed.state == "failed" and "catalogue" in failed.error


def test_the_queue_is_bounded(jobs: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "MAX_WAITING", 2)
    jobs.submit(JobRequest("test", Case(SHARD, BROKEN, HEALTHY, LONG, device="cpu")))
    time.sleep(0.3)  # it runs now; the next two wait
    for sequences in (1, 2):
        jobs.submit(measure(window=Window(1, sequences, 32)))
    with pytest.raises(InputError, match="waiting already"):
        jobs.submit(measure(window=Window(1, 3, 32)))


def test_the_worker_ends_with_its_parent(jobs: JobQueue) -> None:
    jobs.warm()
    assert jobs.seats[0].worker is not None
    worker = jobs.seats[0].worker.process
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(timeout=30) == 0


def test_a_model_stays_for_the_next_job_and_another_content_is_loaded_anew(jobs: JobQueue, evidence: Path) -> None:
    first = wait(jobs, jobs.submit(measure()).id)
    until = time.monotonic() + 10
    while (holds := jobs.seats[0].holds) is None and time.monotonic() < until:
        time.sleep(0.05)
    assert holds is not None and [model.checkpoint for model in holds.models] == [HEALTHY]
    other = wait(jobs, jobs.submit(JobRequest("measure", measure().case, stamp="again")).id)
    broken = wait(jobs, jobs.submit(measure(BROKEN)).id)
    losses = [read_record(evidence, str(job.record)).loss.nats for job in (first, other, broken)]
    assert losses[0] == losses[1] != losses[2]
