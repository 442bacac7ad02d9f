"""H4I on trained models: a setting that the weights were not trained with is named, with the reference and without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from siblings import first
from test_zoo import diagnose

from diag.case import Window
from diag.checkpoints import open_checkpoint
from diag.hypotheses import h4i_configuration
from diag.hypotheses.base import Context

MODELS = Path(__file__).parent / "models"
WINDOW = Window(4, 4, 32)
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "TensorRT-Model-Connect #720": ("gpt2", "activation", {"activation_function": "relu"}),
    "llama.cpp #8197, the attention scale": ("gemma2", "query_pre_attn_scalar", {"query_pre_attn_scalar": 4}),
    "llama.cpp #8197, the soft cap": ("gemma2", "final_logit_softcapping", {"final_logit_softcapping": 3.0}),
    "ggml #161": ("gpt_neox", "use_parallel_residual", {"use_parallel_residual": False}),
    "vLLM #21863": ("mistral", "window", {"sliding_window": 8}),
    "NeMo Skills #228": ("llama", "heads", {"num_attention_heads": 10, "num_key_value_heads": 10, "head_dim": 16}),
}


def planted(case: str, folder: Path) -> tuple[Path, Path, str]:
    family, setting, changes = KINDS[case]
    shutil.copytree(MODELS / family, folder)
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder, MODELS / family, setting


@pytest.mark.parametrize("case", first(KINDS, 3))
def test_a_wrong_setting_is_named_without_a_reference(case: str, shard: Path, tmp_path: Path) -> None:
    broken, _, setting = planted(case, tmp_path / "broken")
    found = diagnose(broken, shard, None, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4I",)
    assert found.joint is not None and found.joint.repairs[0].name.startswith(f"{setting}: ")


def test_a_wrong_setting_is_named_with_the_key_beside_a_twin(shard: Path, tmp_path: Path) -> None:
    broken, sound, _ = planted("llama.cpp #8197, the soft cap", tmp_path / "broken")
    found = diagnose(broken, shard, sound, WINDOW)
    assert found.conclusion.kind == "explained" and found.conclusion.hypotheses == ("H4I",)
    assert found.differences is not None and found.differences[0].names == ("final_logit_softcapping",)


@pytest.mark.parametrize("family", sorted(folder.name for folder in MODELS.iterdir() if folder.is_dir()))
def test_a_sound_configuration_has_no_signature(family: str) -> None:
    signature = h4i_configuration.signature(Context(open_checkpoint(MODELS / family)))
    assert not signature.present, signature.detail
