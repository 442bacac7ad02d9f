"""No error-level finding where nothing is wrong: a false alarm counts as a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_samples import EMBEDDING, HEAD

from diag.checkpoints import Checkpoint, CheckpointAudit, audit_checkpoint, open_checkpoint
from diag.checkpoints.audit.facts import gather_facts
from diag.checkpoints.audit.norms import check_norms
from diag.checkpoints.families import FAMILIES

Plant = Callable[..., CheckpointAudit]
SHAPE = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": 200,
    "max_position_embeddings": 64,
}
# What transformers knows; families that the table lacks get the part of the audit that needs none.
KINDS: dict[str, dict[str, Any]] = {
    "llama": SHAPE | {"num_key_value_heads": 2},
    "mistral": SHAPE | {"num_key_value_heads": 2},
    "qwen2": SHAPE | {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "qwen3": SHAPE | {"num_key_value_heads": 2, "head_dim": 16},
    "gemma2": SHAPE | {"num_key_value_heads": 2, "head_dim": 16},
    "gemma3_text": SHAPE | {"num_key_value_heads": 2, "head_dim": 16},
    "olmo2": SHAPE | {"num_key_value_heads": 2, "pad_token_id": 1},
    "phi3": SHAPE | {"num_key_value_heads": 2, "pad_token_id": 1},
    "gpt_neox": SHAPE,
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 4, "vocab_size": 200, "n_positions": 64},
    "mamba": {"hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 200},
}


def errors(audit: CheckpointAudit) -> list[str]:
    return [f"{f.code} {f.tensor}" for f in audit.findings if f.severity == "error"]


def test_the_trained_model_has_no_findings(healthy: Path) -> None:
    assert audit_checkpoint(open_checkpoint(healthy)).findings == ()


def test_the_trained_model_as_planted_without_a_defect(plant: Plant) -> None:
    assert plant().findings == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_model_of_transformers_has_warnings_only(kind: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **KINDS[kind])).save_pretrained(tmp_path)
    audit = audit_checkpoint(open_checkpoint(tmp_path))
    assert errors(audit) == []
    assert any(f.code == "fresh_model" for f in audit.findings)
    assert not any(f.code in ("dtype_tag", "norm_offset", "layout_suspicious") for f in audit.findings)


def test_odd_but_healthy(plant: Plant, trained: dict[str, np.ndarray]) -> None:
    e = trained[EMBEDDING]
    padded = e.copy()
    padded[-100:] = 0
    assert errors(plant({HEAD: e})) == []
    assert errors(plant({EMBEDDING: padded})) == []
    # Trained gains may be large (Qwen2.5's final norm lies near 7.5) or small (Llama's first layers, near 0.05).
    gains = {n: v * np.float32(0.05 if "layers.0." in n else 6.0) for n, v in trained.items() if "norm" in n}
    assert plant(gains).findings == ()
    buffers = {f"transformer.h.{i}.attn.bias": np.tril(np.ones((1, 1, 64, 64), np.float32)) for i in range(2)}
    buffers["transformer.h.0.attn.masked_bias"] = np.array(-np.inf, np.float32)
    assert errors(plant(buffers)) == []


def test_a_norm_that_multiplies_by_one_plus_w(plant: Plant, trained: dict[str, np.ndarray]) -> None:
    """The trained model's norms, stored minus 1 in a family with that convention, and with the 1 added back."""
    from dataclasses import replace

    gemma = replace(FAMILIES[0], norm_offset=1)

    def said(checkpoint: Checkpoint) -> list[str]:
        facts = gather_facts(checkpoint)
        return [f.code for f in check_norms(replace(facts, checkpoint=replace(checkpoint, family=gemma)))]

    def codes(shift: float) -> list[str]:
        narrow = {n: 1 + 0.2 * (v - v.mean()) + shift for n, v in trained.items() if "norm" in n}
        return said(plant(narrow).checkpoint)

    assert codes(-1.0) == [] and codes(0.0) == ["norm_offset"]
    assert codes(3.0) == []  # trained far away: nothing is said

    def constant(value: float) -> set[str]:
        return set(said(plant({n: np.full_like(v, value) for n, v in trained.items() if "norm" in n}).checkpoint))

    assert (constant(-1.0), constant(0.0)) == ({"norm_zero"}, {"norm_one"})


def test_the_json_of_an_audit_says_what_to_do(plant: Plant, trained: dict[str, np.ndarray]) -> None:
    answer = plant({HEAD: trained[EMBEDDING][::-1]}).to_json()
    assert set(answer["findings"][0]) == {"code", "severity", "tensor", "message", "fix"}
    assert "H4A" in answer["findings"][0]["fix"] and json.dumps(answer, allow_nan=False)
