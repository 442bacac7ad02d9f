"""The demo's cases reach the verdicts that the README promises, and a suite leaves the model as it found it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from siblings import first
from test_zoo import SHORT, check, diagnose

from diag.case import Case, Window
from diag.checkpoints import open_checkpoint
from diag.demo.build import DEFAULT_DIR, build_demo
from diag.hypotheses import suite
from diag.hypotheses.base import Context
from diag.hypotheses.registry import ABOUT_CHECKPOINT
from diag.jobs import tasks
from diag.jobs.inputs import open_inputs
from diag.model.evaluate import Evaluator
from diag.model.stored import CheckpointTensors
from diag.model.trace import measure
from diag.progress import silent

C, OPEN = "confirmed", "inconclusive"
WITHOUT_REFERENCE = {
    "h4a-h4b-two-defects": ({"H4A": C, "H4B": C}, ("explained",)),
    "h4d-zero-down-proj": ({"H4D": OPEN}, ("suspect",)),
    "h4a-random-head": ({"H4A": C}, ("explained",)),
    "h4b-gate-column-major": ({"H4B": C}, ("explained",)),
    "h4c-norm-plus-one": ({"H4C": C}, ("explained",)),
}
WITH_REFERENCE = sorted(WITHOUT_REFERENCE, reverse=True)  # other first ones


@pytest.mark.parametrize("name", first(WITH_REFERENCE, 2))
def test_a_broken_case_confirms_what_was_planted_and_nothing_else(name: str, demo: Path) -> None:
    case = next(case for case in build_demo(DEFAULT_DIR).cases if case.name == name)
    diagnosis = diagnose(case.checkpoint, case.shard, case.reference)
    check(diagnosis, dict.fromkeys(case.planted, C), ("explained",))
    assert diagnosis.loss.nats is not None and diagnosis.loss.ruler.reference_nats is not None
    assert diagnosis.loss.nats - diagnosis.loss.ruler.reference_nats > 0.3  # what a planted defect must cost at least
    assert diagnosis.joint is not None
    assert {repair.id for repair in diagnosis.joint.repairs} == set(case.planted)
    worth = [nats for nats in diagnosis.joint.attribution.values() if nats is not None]
    assert sum(worth) == pytest.approx(diagnosis.loss.nats - diagnosis.joint.loss_nats, abs=1e-9)


@pytest.mark.parametrize("name", first(WITHOUT_REFERENCE, 2))
def test_without_a_reference(name: str, demo: Path, shard: Path) -> None:
    """On an eighth of the demo's ids, but for the case that needs more of them: half a minute each on all."""
    window = Window(4, 4, 64) if name == "h4a-h4b-two-defects" else SHORT
    diagnosis = diagnose(demo / "checkpoints" / name, shard, None, window)
    check(diagnosis, *WITHOUT_REFERENCE[name])
    assert diagnosis.loss.ruler.reference_nats is None


def test_in_the_healthy_checkpoint_nothing_is_found_and_it_is_better_than_the_unigram_by_40_percent(
    healthy: Path, shard: Path
) -> None:
    diagnosis = diagnose(healthy, shard, None)
    check(diagnosis, dict.fromkeys(("H0", "H4A", "H4B", "H4C", "H4D"), "refuted"), ("no_defect_found",))
    assert diagnosis.loss.nats is not None and diagnosis.loss.ruler.unigram_nats is not None
    assert diagnosis.loss.nats < 0.6 * diagnosis.loss.ruler.unigram_nats
    assert all(r.share is None for f in diagnosis.findings for r in f.repairs)  # no excess, so nothing to share


def test_the_broken_corpus_concludes_data_and_everything_else_waits(healthy: Path, demo: Path) -> None:
    diagnosis = diagnose(healthy, demo / "shards" / "stdlib-unk", None)
    statuses = {finding.id: finding.status for finding in diagnosis.findings}
    assert diagnosis.conclusion.kind == "data"
    assert statuses == {"H0": C} | dict.fromkeys((h.id for h in ABOUT_CHECKPOINT), OPEN)


def test_the_loss_before_and_after_a_full_suite_is_the_same_bit_for_bit(demo: Path, healthy: Path, shard: Path) -> None:
    broken = demo / "checkpoints" / "h4c-norm-plus-one"
    inputs = open_inputs(Case(str(shard), str(broken), str(healthy), SHORT), lambda kind, name: Path(name))
    case = tasks.read(inputs, silent, lens=False)
    loaded, before = case.model, case.baseline.measurement
    assert loaded is not None and before is not None
    evaluator = Evaluator(loaded, inputs.window.ids, reference=CheckpointTensors(open_checkpoint(healthy)))
    setup = suite.Setup(evaluator, Context(inputs.checkpoint, inputs.reference), case.baseline)
    suite.run(setup, ABOUT_CHECKPOINT, silent)
    assert evaluator.forward_passes > 100  # it really ran
    after = measure(loaded, inputs.window.ids, lens=0)
    assert np.array_equal(before.per_sequence_nats, after.per_sequence_nats)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in loaded.module.modules())
