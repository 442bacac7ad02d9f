"""H4E on trained models: biases that were dropped, or added once for every rank, are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_zoo import diagnose

from diag.case import Window
from diag.checkpoints import open_checkpoint
from diag.hypotheses import h4e_bias
from diag.hypotheses.base import Context
from diag.zoo.model import Change, open_model, write_model

MODELS = Path(__file__).parent / "models"
WINDOW = Window(4, 4, 32)
WITH_BIASES = {"gpt2": 6 * 6 + 1, "gpt_neox": 8 * 6 + 1, "qwen2_untied": 18}


def times(family: str, folder: Path, roles: tuple[str, ...], factor: float | None) -> Path:
    """The model with the biases of these roles multiplied; None takes them out of the file."""
    model = open_model(MODELS / family)
    names = model.names(roles)
    change = {name: None if factor is None else model.tensors[name] * np.float32(factor) for name in names}
    return write_model(model.changed(Change(change)), folder)


@pytest.mark.parametrize("factor", [0.0, None])
def test_dropped_biases_are_the_first_suspect_and_a_twin_gives_them_back(
    factor: float | None, shard: Path, tmp_path: Path
) -> None:
    broken = times("qwen2_untied", tmp_path / "broken", ("q_bias", "k_bias", "v_bias"), factor)
    alone = diagnose(broken, shard, None, WINDOW)
    assert alone.conclusion.kind == "suspect" and alone.conclusion.hypotheses[0] == "H4E"
    twin = diagnose(broken, shard, MODELS / "qwen2_untied", WINDOW)
    assert twin.conclusion.kind == "explained" and twin.conclusion.hypotheses == ("H4E",)


def test_every_bias_comes_back_from_a_twin(shard: Path, tmp_path: Path) -> None:
    """One of the four roles of matrices would lower the loss of this window by 0.027 nats if it stayed zero."""
    roles = ("qkv_bias", "o_bias", "up_bias", "down_bias", "attention_norm_bias", "mlp_norm_bias")
    broken = times("gpt_neox", tmp_path / "broken", roles, 0.0)
    twin = diagnose(broken, shard, MODELS / "gpt_neox", Window(2, 4, 64))
    assert twin.conclusion.kind == "explained" and twin.conclusion.hypotheses == ("H4E",)
    assert twin.joint is not None and twin.baseline.ruler.reference_nats is not None
    assert twin.joint.loss_nats == pytest.approx(twin.baseline.ruler.reference_nats, abs=0.01)


def test_biases_summed_over_ranks_are_named(shard: Path, tmp_path: Path) -> None:  # gpt-neox #1220
    broken = times("gpt_neox", tmp_path / "broken", ("o_bias", "down_bias"), 8)
    twin = diagnose(broken, shard, MODELS / "gpt_neox", WINDOW)
    assert twin.conclusion.kind == "explained" and twin.conclusion.hypotheses == ("H4E",)
    assert twin.differences is not None and {d.pattern for d in twin.differences} == {"scaled"}


def test_biases_that_only_the_configuration_leaves_out_are_read_again(shard: Path, tmp_path: Path) -> None:
    model = open_model(MODELS / "gpt_neox")
    broken = write_model(model.changed(Change({}, config={"attention_bias": False})), tmp_path / "broken")
    for reference, repair in ((None, "attention biases on"), (MODELS / "gpt_neox", "config: attention bias from ref")):
        found = diagnose(broken, shard, reference, WINDOW)
        assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4E",)
        assert found.joint is not None and found.joint.repairs[0].name.startswith(repair)
        sound = diagnose(MODELS / "gpt_neox", shard, None, WINDOW)
        assert found.joint.loss_nats == pytest.approx(sound.loss.nats, abs=1e-5)


@pytest.mark.parametrize("family", sorted(folder.name for folder in MODELS.iterdir() if folder.is_dir()))
def test_a_sound_model_has_no_signature(family: str) -> None:
    context = Context(open_checkpoint(MODELS / family))
    assert h4e_bias.HYPOTHESIS.applies(context) == (family in WITH_BIASES)
    if family in WITH_BIASES:
        signature = h4e_bias.signature(context)
        assert not signature.present and f"All {WITH_BIASES[family]} biases" in signature.detail
