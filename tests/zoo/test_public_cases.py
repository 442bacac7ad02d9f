"""Public bug reports, built again: the conclusion and the finding that each must get, with its sound twin and without.

The rows are in diag/zoo/defects/public_cases.py, named after the reports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from siblings import alternate

import diag
from diag.cli.test import to_json
from diag.errors import InputError
from diag.zoo.defects.public_cases import PUBLIC_CASES, PublicCase, Right
from diag.zoo.model import open_model

MODELS = Path(__file__).parent / "models"
WINDOW = "4x4x64"  # as many sequences as the demo's window, a quarter of the ids
IDS = [row.name for row in PUBLIC_CASES]


def check(right: Right, checkpoint: Path, shard: Path, reference: Path | None) -> None:
    """The answer is what the row says, or the refusal is."""
    try:
        found = diag.test(checkpoint, shard, reference=reference, window=WINDOW, device="cpu")
    except InputError as error:
        says = f"{error.what} {error.fix} {Path(error.where).name}".lower()
        assert right.refused and right.refused in says, f"refused: {error}"
        return
    assert right.kinds, "this file cannot be used, and was"
    answer = to_json(found.diagnosis)
    conclusion = answer["conclusion"]
    assert conclusion["kind"] in right.kinds, conclusion["text"]
    statuses = {finding["id"]: finding["status"] for finding in answer["findings"]}
    claimed = {id for id, status in statuses.items() if status in ("confirmed", "contributing")}
    assert claimed <= set(right.claims), f"false alarm: {statuses}"
    if conclusion["kind"] in ("explained", "partly_explained"):
        assert claimed, statuses
    assert {id: statuses[id] for id in right.statuses} == right.statuses
    assert all(part in conclusion["text"] for part in right.text), conclusion["text"]
    for part in right.names:
        assert any(part in name for name in _differing(answer)), f"{part} is not among the differences"


def _differing(answer: dict[str, Any]) -> list[str]:
    return [name for difference in answer.get("differences") or () for name in difference["names"]]


@pytest.mark.parametrize("row", alternate(PUBLIC_CASES, 0), ids=IDS)
def test_with_its_twin(row: PublicCase, shard: Path, tmp_path: Path) -> None:
    planted = row.write(open_model(MODELS / row.model), tmp_path / "model")
    check(row.twin, planted, shard, MODELS / row.model)


@pytest.mark.parametrize("row", alternate(PUBLIC_CASES, 1), ids=IDS)
def test_without_a_reference(row: PublicCase, shard: Path, tmp_path: Path) -> None:
    planted = row.write(open_model(MODELS / row.model), tmp_path / "model")
    check(row.none, planted, shard, None)


def test_rows_are_named_once_and_say_where_they_come_from() -> None:
    assert len(set(IDS)) == len(IDS) and all("#" in row.source for row in PUBLIC_CASES)
