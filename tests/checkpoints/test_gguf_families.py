"""Ten families, exported as llama.cpp's converter does it: every tensor comes back, and so do the logits, built by
transformers from nothing but what the GGUF file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf_samples import export
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from diag.checkpoints import Checkpoint, open_checkpoint
from diag.model.build import build

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 97,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": None,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 512,
}
GPT2 = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": 97, "initializer_range": 0.2}
GEMMA = SHAPE | {"head_dim": 32, "sliding_window": 8, "query_pre_attn_scalar": 32}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2-tied": ("qwen2", SHAPE | {"tie_word_embeddings": True}),
    "qwen2-untied": ("qwen2", SHAPE | {"rope_theta": 1e6, "rms_norm_eps": 1e-5}),
    "qwen2-yarn": (
        "qwen2",
        SHAPE
        | {
            "rope_parameters": {
                "rope_type": "yarn",
                "factor": 4.0,
                "rope_theta": 1e4,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    "llama": ("llama", SHAPE | {"rms_norm_eps": 1e-5}),
    "llama-biases": ("llama", SHAPE | {"attention_bias": True, "mlp_bias": True}),
    "llama-no-gqa": ("llama", SHAPE | {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "llama-3.1": ("llama", SHAPE | {"head_dim": 32, "rope_parameters": LLAMA3}),
    "mistral": ("mistral", SHAPE | {"sliding_window": None, "head_dim": 32}),
    "qwen3": ("qwen3", SHAPE | {"head_dim": 32, "tie_word_embeddings": True}),
    "gemma2": ("gemma2", GEMMA | {"attn_logit_softcapping": 20.0, "final_logit_softcapping": 10.0}),
    "gemma3": (
        "gemma3_text",
        GEMMA
        | {
            "num_hidden_layers": 7,
            "rope_parameters": {
                "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
            },
        },
    ),
    "phi3": ("phi3", SHAPE | {"sliding_window": 8}),
    "phi3-partial": ("phi3", SHAPE | {"partial_rotary_factor": 0.75, "tie_word_embeddings": True}),
    "phi3-long": (
        "phi3",
        SHAPE
        | {
            "original_max_position_embeddings": 32,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 1e4,
                "long_factor": [1.0 + i for i in range(8)],
                "short_factor": [1.0 + i / 8 for i in range(8)],
            },
        },
    ),
    "olmo2": ("olmo2", SHAPE | {"rms_norm_eps": 1e-5}),
    "gpt2": ("gpt2", GPT2),
    "gpt-neox": ("gpt_neox", SHAPE | {"rotary_pct": 0.5}),
    "gpt-neox-sequential": ("gpt_neox", SHAPE | {"use_parallel_residual": False, "attention_bias": False}),
}
HEADS = {"gpt_neox": "embed_out.weight"}


def tiny(family: str, options: dict[str, Any]) -> PreTrainedModel:
    """A random model whose norms and biases are random too."""
    torch.manual_seed(1)
    config = CONFIG_MAPPING[family](**{k: dict(v) if isinstance(v, dict) else v for k, v in options.items()})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def held(model: PreTrainedModel) -> dict[str, np.ndarray]:
    """What save_pretrained would write: a tied head once, and GPT-NeoX's head under its published name."""
    tied = set(model._tied_weights_keys or ()) if model.config.tie_word_embeddings else set()
    head = HEADS.get(model.config.model_type, "lm_head.weight")
    return {
        head if name == "lm_head.weight" else name: t.numpy()
        for name, t in model.state_dict().items()
        if name not in tied
    }


def rebuilt(checkpoint: Checkpoint) -> PreTrainedModel:
    """The model that the file describes, by transformers' own constructor."""
    raw = dict(checkpoint.raw_config)
    kind = raw.pop("model_type")
    raw.pop("architectures")
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**raw), dtype=torch.float32)
    state = {name: torch.from_numpy(np.array(checkpoint.float32(name))) for name in checkpoint.tensors}
    if (head := HEADS.get(kind)) in state:
        state["lm_head.weight"] = state.pop(head)
    missing, unexpected = model.load_state_dict(state, strict=False)
    tied = set(model._tied_weights_keys or ()) if model.config.tie_word_embeddings else set()
    assert set(missing) <= tied and not unexpected
    model.tie_weights()
    return model.eval()


@pytest.mark.parametrize("case", CASES)
def test_tensors_and_logits_come_back(case: str, tmp_path: Path) -> None:
    family, options = CASES[case]
    model = tiny(family, options)
    file = export(tmp_path / "tiny.gguf", model.config.to_dict(), held(model))
    checkpoint = open_checkpoint(file)
    expected = held(model)
    assert set(checkpoint.tensors) == set(expected)
    for name, values in expected.items():
        found = checkpoint.float32(name)
        assert checkpoint.tensors[name].shape == found.shape == values.shape
        if family.startswith("gemma") and name.endswith("norm.weight"):  # (w + 1) − 1 is rounded
            np.testing.assert_allclose(found, values, atol=3e-7)
        else:
            assert np.array_equal(found, values), name
    models = [rebuilt(checkpoint)]
    if checkpoint.family is not None:
        models.append(build(checkpoint, device="cpu", dtype="fp32").module)
    ids = torch.randint(0, 97, (2, 48), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for again in models:
            difference = (again(ids).logits - model(ids).logits).abs().max()
            assert difference < (2e-4 if family.startswith("gemma") else 1e-5)
