"""Whose turn it is, and which worker may take it: no process is started here."""

from __future__ import annotations

from pathlib import Path

import pytest

from diag.case import Case
from diag.errors import InputError
from diag.jobs import slots as slots_module
from diag.jobs.job import Job, in_turn
from diag.jobs.protocol import HeldModel, Holds, JobRequest
from diag.jobs.queue import MAX_WAITING, JobQueue
from diag.jobs.slots import Slot, serves, slots
from diag.settings import load_settings


def request(number: int, checkpoint: str = "d/c") -> JobRequest:
    return JobRequest("measure", Case("d/s", checkpoint), stamp=str(number))


def job(name: str, *owners: str) -> Job:
    return Job(name, request(0), owners)


def test_a_short_job_is_not_behind_eight_of_somebody_else() -> None:
    waiting = [*(job(f"a{i}", "ann") for i in range(8)), job("b0", "bob"), job("b1", "bob"), job("c0", "cy")]
    order = [each.id for each in in_turn(waiting, {"ann": 1})]
    assert order == ["b0", "c0", "a0", "b1", *(f"a{i}" for i in range(1, 8))]


def test_a_job_of_two_people_runs_in_the_first_of_their_turns_and_counts_as_both() -> None:
    waiting = [job("a", "ann"), job("ab", "ann", "bob"), job("b", "bob"), job("c", "cy")]
    assert [each.id for each in in_turn(waiting, {"ann": 3, "bob": 1, "cy": 2})] == ["ab", "c", "a", "b"]


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> JobQueue:
    """A queue of two seats that never run anything."""
    monkeypatch.setattr(JobQueue, "_serve", lambda self, seat: None)
    return JobQueue((Slot("cpu 1", False), Slot("cpu 2", False)))


def test_one_request_of_two_people_is_one_job_that_both_own(asleep: JobQueue) -> None:
    first, second = (asleep.submit(request(0), owner) for owner in ("ann", "bob"))
    assert first.id == second.id and second.owners == ("ann", "bob") and len(asleep.all_jobs()) == 1
    asleep.cancel(first.id)
    assert asleep.submit(request(0), "cy").owners == ("cy",)


def test_one_person_cannot_fill_the_queue(asleep: JobQueue) -> None:
    for number in range(MAX_WAITING):
        asleep.submit(request(number), "ann")
    with pytest.raises(InputError, match="8 jobs of yours are waiting"):
        asleep.submit(request(MAX_WAITING), "ann")
    assert asleep.submit(request(MAX_WAITING), "bob").state == "queued"
    assert asleep.get(request(MAX_WAITING).id).ahead == 1  # type: ignore[union-attr]


def test_a_job_waits_for_the_free_worker_that_keeps_its_model(asleep: JobQueue) -> None:
    one, other = asleep.seats
    other.holds = Holds(1, (HeldModel("d/warm", "fp32", 8),), 0)
    warm, cold = (asleep.submit(request(0, name)) for name in ("d/warm", "d/cold"))
    assert asleep._next(one) == cold and asleep._next(other) == warm
    other.take("busy")
    assert asleep._next(one) == warm, "the worker that keeps it is busy: loading it again is sooner"


def test_one_slot_a_gpu_and_the_rest_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "has_gpu", lambda: True)
    monkeypatch.setattr(slots_module, "_cores", lambda: 8)
    env = {"CUDA_VISIBLE_DEVICES": "3,5"}
    assert [(slot.name, slot.environment["CUDA_VISIBLE_DEVICES"]) for slot in slots(None, env)] == [
        ("cuda:0", "3"),
        ("cuda:1", "5"),
    ]
    four = slots(4, env)
    assert [slot.gpu for slot in four] == [True, True, False, False]
    assert four[3].environment["OMP_NUM_THREADS"] == "4" and four[3].environment["CUDA_VISIBLE_DEVICES"] == ""
    assert [serves(slot, "auto", four) for slot in four] == [True, True, False, False]
    assert [serves(slot, "cpu", four) for slot in four] == [False, False, True, True]
    only = slots(1, env)
    assert serves(only[0], "cpu", only)
    monkeypatch.setattr(slots_module, "has_gpu", lambda: False)
    assert [slot.name for slot in slots(None, env)] == ["cpu"] and len(slots(3, {})) == 3


def test_workers_and_engine_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "subrandom.toml"
    env = {"SUBRANDOM_CONFIG": str(path)}
    path.write_text('workers = 2\nengine = "ray://head:10001"\n')
    settings = load_settings(env)
    assert (settings.workers, settings.engine) == (2, "ray://head:10001")
    assert load_settings({**env, "SUBRANDOM_WORKERS": "auto"}).workers is None
    for text in ("workers = 0", "workers = true", 'workers = "many"', 'engine = "spark"', 'engine = "ray://h"'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"workers|engine"):
            load_settings(env)
