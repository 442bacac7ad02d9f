"""A run that is stopped concludes from what it knows; out of memory it runs again with less. Both are said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diag.case import Case, Window
from diag.errors import Enough
from diag.evidence.records import read_record
from diag.jobs import ladder, tasks
from diag.jobs.inputs import Inputs, open_inputs
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from diag.model.estimate import refuse_too_large
from diag.progress import silent
from diag.results import codec
from diag.results.diagnosis import Diagnosis
from tests.jobs.test_job_queue import BROKEN, LONG, SHARD, wait
from tests.jobs.test_stuck_worker import until


@pytest.fixture(scope="module")
def inputs(demo: Path) -> Inputs:
    case = Case(
        str(demo / "shards/stdlib"), str(demo / "checkpoints/h4a-random-head"), window=Window(1, 4, 64), device="cpu"
    )
    return open_inputs(case, lambda kind, name: Path(name))


def ended(inputs: Inputs, at: str) -> tuple[Diagnosis, dict[str, str]]:
    """The test, ended when it says `at`; and what it said it had learnt."""
    over, learnt = False, {}

    def progress(fraction: float | None, text: str) -> None:
        nonlocal over
        if text.startswith(at) and not over:
            over = True
            raise Enough("Stopped on request")

    return tasks.test(inputs, (), progress, learnt.__setitem__), learnt


def test_a_stopped_run_names_what_helped_alone_and_decides_nothing(inputs: Inputs) -> None:
    found, learnt = ended(inputs, "Testing every repair on top of the checkpoint as loaded")
    assert found.stopped == "Stopped on request" and found.joint is None
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4A"
    assert "hypotheses were tried" in found.conclusion.text and "Nothing is decided" in found.conclusion.text
    by_id = {finding.id: finding for finding in found.findings}
    assert {finding.status for finding in found.findings if finding.id != "H0"} <= {"inconclusive", "not_applicable"}
    best = by_id["H4A"]
    assert best.best_repair and "head := embedding" in best.best_repair and best.best_repair in learnt["H4A"]
    assert learnt["loss"].startswith("as loaded ")
    assert codec.decode(Diagnosis, codec.plain(found), "diagnosis").stopped == "Stopped on request"


def test_one_that_is_stopped_before_the_first_hypothesis_keeps_the_loss(inputs: Inputs) -> None:
    found, learnt = ended(inputs, "Looking at how the sequences begin")
    assert found.loss.nats and found.loss.nats > 9 and list(learnt) == ["loss"]
    assert "Stopped on request: 0 of " in found.conclusion.text
    assert all(finding.best_repair is None for finding in found.findings)


def test_out_of_memory_is_done_with_less_to_the_same_loss(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The allocation fails for real work twice: smaller pieces, then blocks from the file."""
    whole = tasks.measured(inputs, silent)
    real, tries = tasks.measure, []

    def fails_twice(model: object, *args: object, **options: object) -> object:
        tries.append(model.layers is not None)  # type: ignore[attr-defined]
        if len(tries) < 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(model, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tasks, "measure", fails_twice)
    less = tasks.measured(inputs, silent)
    assert tries == [False, False, True], "the third has its blocks in the file"
    assert "Memory ran out on cpu, so the blocks were read from the file in turn." in less.notes
    assert less.loss.nats == pytest.approx(whole.loss.nats, abs=1e-5)
    assert not any("Memory ran out" in note for note in whole.notes)


def test_the_last_rung_says_what_is_wrong(inputs: Inputs) -> None:
    rungs: list[str] = []

    def work(asked: Inputs) -> None:
        rungs.append(asked.case.device)
        raise MemoryError

    with pytest.raises(MemoryError):
        ladder.climb(inputs, work, silent)
    assert rungs == ["cpu", "cpu", "cpu"]


def test_what_does_not_fit_beside_another_program_runs_on_the_cpu(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even both ends and three blocks fit on the card: refused there before they are read."""
    monkeypatch.setattr(ladder, "pick_device", lambda name: torch.device("cuda" if name == "auto" else "cpu"))
    rungs: list[str] = []

    def work(asked: Inputs) -> str:
        rungs.append(asked.case.device)
        refuse_too_large(2, 1 if asked.case.device == "auto" else None, where="model", dtype="bf16")
        return "measured"

    asked = replace(inputs, case=replace(inputs.case, device="auto"))
    assert ladder.climb(asked, work, silent) == ("measured", "Memory ran out on cuda, so it ran on the CPU.")
    assert rungs == ["auto", "auto", "auto", "cpu"]


def test_the_queue_stops_a_run_with_what_is_known(jobs: JobQueue, evidence: Path) -> None:
    request = JobRequest("test", Case(SHARD, BROKEN, window=replace(LONG, batches=2), device="cpu"))
    job = jobs.submit(request)
    until(lambda: len(jobs.get(job.id).learnt) > 1, 120)  # type: ignore[union-attr]
    jobs.conclude(job.id)
    done = wait(jobs, job.id)
    assert done.state == "done" and done.stopping
    diagnosis = read_record(evidence, str(done.record)).diagnosis
    assert diagnosis and diagnosis.stopped == "Stopped on request"
