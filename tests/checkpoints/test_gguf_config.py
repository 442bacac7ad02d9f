"""What GGUF does not say, or says in its own way, and config.json needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diag.checkpoints.formats.gguf_config import GgufConfig, hf_config_from_gguf
from diag.checkpoints.formats.gguf_values import Skipped


def of(architecture: str, values: dict[str, Any], tensors: dict[str, tuple[int, ...]] | None = None) -> GgufConfig:
    """The configuration of a file with these key-values, without the architecture in front, and these shapes."""
    full = {"general.architecture": architecture} | {
        key if key.startswith("tokenizer.") else f"{architecture}.{key}": value for key, value in values.items()
    }
    return hf_config_from_gguf(full, tensors or {}, lambda name: None)


@pytest.mark.parametrize(
    ("architecture", "values", "scalar"),
    [
        ("gemma2", {"attention.key_length": 256, "block_count": 26}, 256),
        # The 27 B models: 4608 / 32 = 144 and 5376 / 32 = 168, whatever the width of a head.
        ("gemma2", {"attention.key_length": 128, "block_count": 46, "embedding_length": 4608}, 144),
        ("gemma3", {"attention.key_length": 128, "block_count": 62, "embedding_length": 5376}, 168),
        ("gemma3", {"attention.key_length": 128, "attention.scale": 0.0625}, 256),
    ],
)
def test_the_attention_scale_of_gemma(architecture: str, values: dict[str, Any], scalar: float) -> None:
    found = of(architecture, {"attention.head_count": 32} | values)
    assert found.config["query_pre_attn_scalar"] == scalar and "query_pre_attn_scalar" in found.inferred


def test_the_layers_that_slide() -> None:
    pattern = {
        "attention.sliding_window": 512,
        "block_count": 3,
        "attention.sliding_window_pattern": (True, True, False),
    }
    assert of("gemma3", pattern).config["layer_types"] == ["sliding_attention", "sliding_attention", "full_attention"]
    assert of("gemma3", {"attention.sliding_window_pattern": 4}).config["sliding_window_pattern"] == 4


def test_olmo_3_is_exported_as_olmo_2_with_a_window() -> None:
    assert of("olmo2", {"attention.sliding_window": 4096}).config["model_type"] == "olmo3"
    assert of("olmo2", {}).config["model_type"] == "olmo2"


def test_a_window_of_0_is_none() -> None:
    assert of("phi3", {"attention.sliding_window": 0}).config["sliding_window"] is None


def test_a_number_for_each_layer_is_one_number_if_all_agree() -> None:
    assert of("llama", {"attention.head_count_kv": (8, 8, 8)}).config["num_key_value_heads"] == 8
    assert of("llama", {"attention.head_count_kv": (8, 4, 8)}).config["num_key_value_heads"] == [8, 4, 8]


def test_files_without_key_value_heads_have_one_for_each_head() -> None:
    found = of("llama", {"attention.head_count": 32})
    assert found.config["num_key_value_heads"] == 32 and "num_key_value_heads" in found.inferred


def test_the_width_of_a_head_is_stated_in_two_places() -> None:
    both = {"rope.dimension_count": 64, "attention.key_length": 128}
    assert of("llama", both).config["head_dim"] == 128
    assert of("llama", {"rope.dimension_count": 64}).config["head_dim"] == 64
    assert "head_dim" not in of("qwen2", {"rope.dimension_count": 64}).config


def test_the_vocabulary_is_the_rows_of_the_embedding_unless_it_is_stated() -> None:
    shapes = {"token_embd.weight": (150, 8)}
    assert of("qwen2", {}, shapes).config["vocab_size"] == 150
    stated = of("qwen2", {"vocab_size": 140, "tokenizer.ggml.tokens": Skipped(140)}, shapes)
    assert stated.config["vocab_size"] == 140 and "vocab_size" not in stated.inferred
    assert stated.notes == ["The tokenizer in the file has 140 entries, the embedding 150 rows."]


def test_biases_are_told_by_their_tensors() -> None:
    shapes = {"blk.0.attn_q.bias": (8,), "blk.0.attn_output.bias": (8,)}
    assert of("llama", {}, shapes).config["attention_bias"] is True
    assert of("llama", {}, {"blk.0.attn_q.bias": (8,)}).config["attention_bias"] is False  # a Qwen2 stamped as Llama
    assert "attention_bias" not in of("qwen2", {}, shapes).config


def test_older_files_scale_linearly_under_another_key() -> None:
    assert of("llama", {"rope.scale_linear": 4.0}).config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}
    assert "rope_scaling" not in of("llama", {"rope.scaling.type": "none", "rope.scaling.factor": 1.0}).config


def test_divisors_of_no_known_scaling_are_left_and_noted() -> None:
    values = {"general.architecture": "llama"}
    found = hf_config_from_gguf(
        values, {}, lambda name: np.array([1, 5, 2, 7], np.float32) if name == "rope_freqs.weight" else None
    )
    assert "rope_scaling" not in found.config and not found.consumed
    assert "not applied" in found.notes[0]


@pytest.mark.parametrize("architecture", [None, 7, "", "a\nb", "LlamaForCausalLM"])
def test_an_architecture_that_is_none(architecture: Any) -> None:
    assert (
        hf_config_from_gguf({"general.architecture": architecture}, {}, lambda name: None).config.get("hidden_size")
        is None
    )
