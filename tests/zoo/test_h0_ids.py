"""A sound model on ids that say nothing: the verdict is about the data, and names what happened to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import diag
from diag.results.diagnosis import Diagnosis

Ids = np.ndarray


def shuffled(ids: Ids) -> Ids:
    return np.random.default_rng(0).permutation(ids)


def renamed(ids: Ids) -> Ids:
    return np.random.default_rng(0).permutation(4096)[ids]


@pytest.fixture(scope="module")
def ids(shard: Path) -> Ids:
    return np.fromfile(shard / "shard-00000.bin", "<u4")[:400_000]


def concluded(checkpoint: Path, ids: Ids, folder: Path) -> Diagnosis:
    file = folder / "shard-00000.bin"
    ids.astype("<u4").tofile(file)
    return diag.test(checkpoint, file, window="2x2x64", device="cpu").diagnosis


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda ids: (ids + 1) % 4096, "What gives text is every id -1: they were shifted by +1."),
        (lambda ids: ids[::-1], "What gives text is the reverse order."),
        (shuffled, "they are no text of this tokenizer."),
        (renamed, "they are no text of this tokenizer."),
    ],
)
def test_ids_that_say_nothing_are_the_cause(
    healthy: Path, ids: Ids, tmp_path: Path, change: Callable[[Ids], Ids], says: str
) -> None:
    found = concluded(healthy, change(ids), tmp_path)
    assert found.conclusion.kind == "data" and says in found.conclusion.text
    data, *others = found.findings
    assert (data.id, data.status) == ("H0", "confirmed") and {other.status for other in others} == {"inconclusive"}


def test_without_a_tokenizer_the_order_is_judged(healthy: Path, ids: Ids, tmp_path: Path) -> None:
    bare = shutil.copytree(healthy, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*"))
    found = concluded(bare, shuffled(ids), tmp_path)
    assert found.conclusion.kind == "data" and "the order of the ids is lost" in found.conclusion.text
    assert concluded(bare, ids, tmp_path).findings[0].status == "refuted"


def test_a_broken_checkpoint_on_text_is_not_the_data(demo: Path, ids: Ids, tmp_path: Path) -> None:
    found = concluded(demo / "checkpoints" / "h4a-random-head", ids, tmp_path)
    assert found.findings[0].status == "refuted" and found.conclusion.kind != "data"
