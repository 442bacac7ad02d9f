"""H4A to H4C beyond one head, one buffer and one offset: orders of fused matrices, exchanged norms, lost embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from siblings import first
from test_zoo import diagnose

from diag.case import Window
from diag.zoo.defects import DEFECTS
from diag.zoo.model import Change, open_model, write_model

MODELS = Path(__file__).parent / "models"
WINDOW = Window(4, 4, 32)
KINDS = {  # a defect of the zoo: the family, whose it is, and the repair that undoes it
    "gate_and_up_exchanged": ("llama", "H4B", "gate and up exchanged"),
    "chunks_of_gate_and_up": ("qwen2_untied", "H4B", "gate and up scattered over"),
    "fused_by_rank": ("phi3", "H4B", "q, k and v gathered from 2 ranks"),
    "embedding_scaled": ("gpt2", "H4A", "embedding ÷ √width"),
}


@pytest.mark.parametrize("name", first(KINDS, 2))
def test_what_the_file_still_holds_is_undone_without_a_reference(name: str, shard: Path, tmp_path: Path) -> None:
    family, hypothesis, repair = KINDS[name]
    model = open_model(MODELS / family)
    change = next(d for d in DEFECTS if d.name == name).plant(np.random.default_rng(0), model)
    assert change is not None
    found = diagnose(write_model(model.changed(change), tmp_path / "broken"), shard, None, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == (hypothesis,)
    assert found.joint is not None and found.joint.repairs[0].name.startswith(repair)


def test_rows_of_q_k_and_v_one_after_the_other_are_put_back_head_by_head(shard: Path, tmp_path: Path) -> None:
    """GPT-NeoX wants q, k and v of one head after the other; a converter wrote all of q, then k, then v."""
    model = open_model(MODELS / "gpt_neox")
    shape = (model.sizes.num_heads, 3, model.sizes.head_dim)
    names = model.names(("qkv", "qkv_bias"))
    rows = {name: model.tensors[name].reshape(*shape, *model.tensors[name].shape[1:]) for name in names}
    change = Change({name: w.swapaxes(0, 1).reshape(model.tensors[name].shape) for name, w in rows.items()})
    found = diagnose(write_model(model.changed(change), tmp_path / "broken"), shard, None, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4B",), found.conclusion.text
    assert found.joint is not None and [r.name for r in found.joint.repairs] == ["q, k and v head by head"]


def test_a_fresh_head_of_an_untied_model_is_its_own_signature(shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "llama")
    change = next(d for d in DEFECTS if d.name == "untied_head_std_002").plant(np.random.default_rng(0), model)
    assert change is not None
    found = diagnose(write_model(model.changed(change), tmp_path / "broken"), shard, None, WINDOW)
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses[0] == "H4A"
    finding = next(f for f in found.findings if f.id == "H4A")
    assert finding.signature.present and "fresh Gaussian" in finding.signature.detail
