"""H4A to H4C beyond one head, one buffer and one offset: orders of fused matrices, exchanged norms, lost embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_zoo import diagnose

from diag.case import Window
from diag.zoo.defects import DEFECTS
from diag.zoo.model import open_model, write_model

MODELS = Path(__file__).parent / "models"
WINDOW = Window(4, 4, 64)
KINDS = {  # a defect of the zoo: the family, whose it is, and the repair that undoes it
    "gate_and_up_exchanged": ("llama", "H4B", "gate and up exchanged"),
    "chunks_of_gate_and_up": ("qwen2_untied", "H4B", "gate and up scattered over"),
    "fused_by_rank": ("phi3", "H4B", "q, k and v gathered from 2 ranks"),
    "embedding_scaled": ("gpt2", "H4A", "embedding ÷ √width"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_the_file_still_holds_is_undone_without_a_reference(name: str, shard: Path, tmp_path: Path) -> None:
    family, hypothesis, repair = KINDS[name]
    model = open_model(MODELS / family)
    change = next(d for d in DEFECTS if d.name == name).plant(np.random.default_rng(0), model)
    assert change is not None
    found = diagnose(write_model(model.changed(change), tmp_path / "broken"), shard, None, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == (hypothesis,)
    assert found.joint is not None and found.joint.repairs[0].name.startswith(repair)


def test_a_fresh_head_of_an_untied_model_is_its_own_signature(shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "llama")
    change = next(d for d in DEFECTS if d.name == "untied_head_std_002").plant(np.random.default_rng(0), model)
    assert change is not None
    found = diagnose(write_model(model.changed(change), tmp_path / "broken"), shard, None, WINDOW)
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4A"
    finding = next(f for f in found.findings if f.id == "H4A")
    assert finding.signature.present and "fresh Gaussian" in finding.signature.detail
