"""Every planted defect gets its verdict, with a reference and without, on a really trained model and live passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from plants import PLANTS, Plant, write_plant
from siblings import alternate

from diag.case import Case, Window
from diag.jobs import tasks
from diag.jobs.inputs import open_inputs
from diag.results.diagnosis import Diagnosis

WINDOW = Window(4, 4, 256)  # the demo's window
SHORT = Window(4, 4, 32)  # as many sequences, an eighth of the tokens: enough for defects that cost nats


def diagnose(checkpoint: Path, shard: Path, reference: Path | None, window: Window = WINDOW) -> Diagnosis:
    """A full test through the same function that the worker and the command line call. Whatever is tested: nothing is
    confirmed by a localiser or by the end of a sweep."""
    case = Case(str(shard), str(checkpoint), str(reference) if reference else None, window)
    found = tasks.test(open_inputs(case, lambda kind, name: Path(name)), (), lambda fraction, text: None)
    joint = {(repair.id, repair.name) for repair in found.joint.repairs} if found.joint else set()
    tried = {(finding.id, repair.name): repair for finding in found.findings for repair in finding.repairs}
    assert joint <= set(tried)  # each accepted repair is listed with what it is
    assert not [name for name in joint if tried[name].localiser or tried[name].edge]
    assert {f.id for f in found.findings if f.status == "confirmed"} <= {id for id, _ in joint} | {"H0"}
    return found


def check(diagnosis: Diagnosis, expected: dict[str, str], kinds: tuple[str, ...]) -> None:
    """The statuses named are exact, nothing else is confirmed, and the conclusion is one of `kinds`."""
    statuses = {finding.id: finding.status for finding in diagnosis.findings}
    assert {i: statuses[i] for i in expected} == expected
    others = {i for i, status in statuses.items() if status == "confirmed"} - set(expected)
    assert not others, f"false alarm: {others}"
    assert diagnosis.conclusion.kind in kinds


@pytest.mark.parametrize("plant", alternate(PLANTS, 0), ids=lambda plant: plant.name)
def test_with_a_reference(plant: Plant, healthy: Path, shard: Path, tmp_path: Path) -> None:
    planted = write_plant(plant, healthy, tmp_path / plant.name)
    check(diagnose(planted, shard, healthy, SHORT), plant.with_reference, plant.kind)


@pytest.mark.parametrize("plant", alternate(PLANTS, 1), ids=lambda plant: plant.name)
def test_without_a_reference(plant: Plant, healthy: Path, shard: Path, tmp_path: Path) -> None:
    planted = write_plant(plant, healthy, tmp_path / plant.name)
    check(diagnose(planted, shard, None, SHORT), plant.alone, plant.kind_alone)
