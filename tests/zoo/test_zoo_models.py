"""The healthy models of tests/zoo/models are what their page says: their families, tied or not, sound, and trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from train_models import FAMILIES, config_of

import diag

MODELS = Path(__file__).parent / "models"
FAMILY = {"qwen2_untied": "qwen2"}  # folders that are not named after their family


def test_every_model_of_the_table_is_there_and_small() -> None:
    assert {folder.name for folder in MODELS.iterdir() if folder.is_dir()} == set(FAMILIES)
    for name in FAMILIES:
        assert json.loads((MODELS / name / "config.json").read_text()) == config_of(name)
        assert sum(file.stat().st_size for file in (MODELS / name).iterdir()) < 6_000_000


@pytest.mark.parametrize("name", FAMILIES)
def test_a_healthy_model_opens_as_its_family(name: str) -> None:
    audit = diag.audit_checkpoint(diag.open_checkpoint(MODELS / name))
    family = audit.checkpoint.family
    assert family is not None and family.name == FAMILY.get(name, name)
    assert audit.tie.status == ("tied_absent" if FAMILIES[name]["tie_word_embeddings"] else "untied")
    assert not [finding for finding in audit.findings if finding.severity == "error"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_healthy_model_predicts_better_than_the_bigram(name: str, shard: Path) -> None:
    baseline = diag.measure(MODELS / name, shard, window="2x4x128", device="cpu").baseline
    loss = baseline.loss
    assert loss.nats is not None and loss.ruler.bigram_nats is not None
    assert loss.nats < loss.ruler.bigram_nats - 1
