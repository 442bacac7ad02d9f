"""A loss that nothing explains, and where it comes from: parts of blocks that are damped, on trained models."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from siblings import first
from test_zoo import diagnose

from diag.case import Window
from diag.results.diagnosis import Diagnosis
from diag.results.finding import Finding
from diag.zoo.defects import DEFECTS
from diag.zoo.model import Change, Model, open_model, write_model

MODELS = Path(__file__).parent / "models"
WINDOW = Window(4, 4, 32)


def times(model: Model, role: str, layer: int, factor: float) -> Change:
    """One matrix times a factor that no signature sees: its scale stays within that of its siblings."""
    (name,) = model.names((role,), (layer,))
    return Change({name: model.tensors[name] * np.float32(factor)})


def examined(family: str, change: Change, shard: Path, folder: Path) -> tuple[Diagnosis, Finding]:
    found = diagnose(write_model(open_model(MODELS / family).changed(change), folder / "broken"), shard, None, WINDOW)
    return found, next(f for f in found.findings if f.id == "H4D")


CASES = {  # what is done to which matrix of which family, and the part that it adds to the stream by
    "llama, reversed": ("llama", "down", 1, -1.0, "MLP"),
    "llama, too large": ("llama", "o", 2, 5.0, "attention"),
    "gpt2, too large": ("gpt2", "o", 2, 5.0, "attention"),
}


@pytest.mark.parametrize("name", first(CASES))
def test_the_block_whose_damping_helps_is_named_with_its_error(name: str, shard: Path, tmp_path: Path) -> None:
    family, role, layer, factor, part = CASES[name]
    found, h4d = examined(family, times(open_model(MODELS / family), role, layer, factor), shard, tmp_path)
    assert h4d.status == "inconclusive" and found.joint is None
    assert f"points at the {part} of block {layer}, and cures nothing" in h4d.signature.detail
    (gained, error) = re.findall(r"counted 0 times ([+-][\d.]+) ± ([\d.]+)", h4d.signature.detail)[0]
    assert float(gained) > max(0.1, 3 * float(error)) > 0
    assert "n = 16 sequences" in h4d.signature.detail
    assert {s.localiser for s in h4d.screened if s.name.startswith(f"block {layer}'s {part}")} == {True}
    assert found.conclusion.kind == "suspect"


ELSEWHERE = ("rotary_pairs", "untied_head_random", "role_misread_in_layers", "embedding_random")


@pytest.mark.parametrize("defect", first(ELSEWHERE))
def test_no_block_is_named_where_the_fault_lies_elsewhere(defect: str, shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "llama")
    change = next(d for d in DEFECTS if d.name == defect).plant(np.random.default_rng(0), model)
    assert change is not None
    _, h4d = examined("llama", change, shard, tmp_path)
    assert "localiser points" not in h4d.signature.detail


def test_what_enters_the_first_block_may_be_wrong_as_well(shard: Path, tmp_path: Path) -> None:
    """Moved rows of the embedding make block 0 add garbage: it is seen there, and the hypothesis is not the suspect."""
    model = open_model(MODELS / "llama")
    change = next(d for d in DEFECTS if d.name == "embedding_rows_moved").plant(np.random.default_rng(0), model)
    assert change is not None
    found, h4d = examined("llama", change, shard, tmp_path)
    if "localiser points" in h4d.signature.detail:
        assert "block 0, or what enters it" in h4d.signature.detail
    assert "localiser" not in found.conclusion.text


def test_a_sound_model_is_not_looked_through(shard: Path, healthy: Path) -> None:
    found = diagnose(healthy, shard, None, WINDOW)
    assert not [s for f in found.findings for s in f.screened if "×" in s.name and s.localiser]
