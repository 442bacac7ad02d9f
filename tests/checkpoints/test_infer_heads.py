"""The number of heads, guessed for published models whose file states no dimensions: widths show only the product."""

from __future__ import annotations

import pytest

from diag.checkpoints import FAMILIES, expected_tensors
from diag.checkpoints.config import ModelConfig
from diag.checkpoints.identify.infer import config_from_shapes, with_causal_prefix
from diag.checkpoints.reader import TensorInfo

# Family, model, hidden size, heads, key-value heads, head size: from each model's published config.json. Pythia
# 1B is left out: it has the widths of Pythia 1.4B and another number of heads.
PUBLISHED: tuple[tuple[str, str, tuple[int, int, int, int]], ...] = (
    ("qwen2", "Qwen2.5 0.5B", (896, 14, 2, 64)),
    ("qwen2", "Qwen2.5 1.5B", (1536, 12, 2, 128)),
    ("qwen2", "Qwen2.5 3B", (2048, 16, 2, 128)),
    ("qwen2", "Qwen2.5 7B", (3584, 28, 4, 128)),
    ("qwen2", "Qwen2.5 14B", (5120, 40, 8, 128)),
    ("llama", "Llama 3.2 1B", (2048, 32, 8, 64)),
    ("llama", "Llama 3.2 3B", (3072, 24, 8, 128)),
    ("llama", "Llama 2 7B", (4096, 32, 32, 128)),
    ("llama", "TinyLlama 1.1B", (2048, 32, 4, 64)),
    ("llama", "SmolLM 135M", (576, 9, 3, 64)),
    ("llama", "SmolLM 360M", (960, 15, 5, 64)),
    ("llama", "SmolLM 1.7B", (2048, 32, 32, 64)),
    ("mistral", "Mistral 7B", (4096, 32, 8, 128)),
    ("phi3", "Phi-3 mini", (3072, 32, 32, 96)),
    ("phi3", "Phi-3 medium", (5120, 40, 10, 128)),
    ("olmo2", "OLMo 2 1B", (2048, 16, 16, 128)),
    ("olmo2", "OLMo 2 7B", (4096, 32, 32, 128)),
    ("olmo2", "OLMo 2 13B", (5120, 40, 40, 128)),
    ("gemma2", "Gemma 2 2B", (2304, 8, 4, 256)),
    ("gemma2", "Gemma 2 9B", (3584, 16, 8, 256)),
    ("gemma2", "Gemma 2 27B", (4608, 32, 16, 128)),
    ("gpt2", "GPT-2", (768, 12, 12, 64)),
    ("gpt2", "GPT-2 medium", (1024, 16, 16, 64)),
    ("gpt2", "GPT-2 large", (1280, 20, 20, 64)),
    ("gpt2", "GPT-2 XL", (1600, 25, 25, 64)),
    ("gpt_neox", "Pythia 70M", (512, 8, 8, 64)),
    ("gpt_neox", "Pythia 160M", (768, 12, 12, 64)),
    ("gpt_neox", "Pythia 410M", (1024, 16, 16, 64)),
    ("gpt_neox", "Pythia 1.4B", (2048, 16, 16, 128)),
    ("gpt_neox", "Pythia 2.8B", (2560, 32, 32, 80)),
    ("gpt_neox", "Pythia 6.9B", (4096, 32, 32, 128)),
    ("gpt_neox", "Pythia 12B", (5120, 40, 40, 128)),
    ("gpt_neox", "GPT-NeoX 20B", (6144, 64, 64, 96)),
)


@pytest.mark.parametrize(("family", "sizes"), [(f, s) for f, _, s in PUBLISHED], ids=[name for _, name, _ in PUBLISHED])
def test_heads_of_published_models(family: str, sizes: tuple[int, int, int, int]) -> None:
    hidden, heads, kv_heads, head_dim = sizes
    row = next(f for f in FAMILIES if f.name == family)
    config = ModelConfig(
        hidden, 2, heads, kv_heads, head_dim, 4 * hidden, 1000, 512, 1e-6, 1e4, False, None, None, None
    )
    tensors = {n: TensorInfo(n, "F32", shape, 0, 4) for n, shape in expected_tensors(row, config).items()}
    found = config_from_shapes(row, tensors, {})
    keys = ("num_attention_heads", "num_key_value_heads", "head_dim")
    assert [found[key] for key in keys] == [heads, kv_heads, head_dim]


def test_what_the_file_states_outranks_the_guess() -> None:
    row = next(f for f in FAMILIES if f.name == "llama")
    config = ModelConfig(2048, 1, 16, 4, 128, 8192, 1000, 512, 1e-6, 1e4, False, None, None, None)
    tensors = {n: TensorInfo(n, "F32", shape, 0, 4) for n, shape in expected_tensors(row, config).items()}
    assert config_from_shapes(row, tensors, {"num_attention_heads": 16})["head_dim"] == 128
    assert config_from_shapes(row, tensors, {"head_dim": 128})["num_attention_heads"] == 16


def test_the_newer_name_of_neoxs_head_means_the_same_tensor() -> None:
    names = ("gpt_neox.embed_in.weight", "lm_head.weight")
    tensors = {n: TensorInfo(n, "F32", (9, 4), 0, 144) for n in names}
    head = with_causal_prefix(tensors)["embed_out.weight"]
    assert (head.name, head.stored) == ("embed_out.weight", "lm_head.weight")
    both = tensors | {"embed_out.weight": TensorInfo("embed_out.weight", "F32", (9, 4), 0, 144)}
    assert set(with_causal_prefix(both)) == set(both)
    llama = {n: TensorInfo(n, "F32", (9, 4), 0, 144) for n in ("model.embed_tokens.weight", "lm_head.weight")}
    assert set(with_causal_prefix(llama)) == set(llama)
