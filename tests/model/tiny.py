"""Tiny random models, written by transformers itself: what our loader must agree with."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

SHAPE = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "vocab_size": 97,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,  # large enough that a wrong matrix moves the logits
}
CONFIGS: dict[str, tuple[type[PreTrainedConfig], dict[str, object]]] = {
    "qwen2-tied": (Qwen2Config, {"tie_word_embeddings": True}),
    "qwen2-untied-theta": (Qwen2Config, {"tie_word_embeddings": False, "rope_theta": 1e6, "rms_norm_eps": 1e-5}),
    "llama": (LlamaConfig, {"rms_norm_eps": 1e-5}),
    "llama-attention-bias": (LlamaConfig, {"attention_bias": True}),
    "mistral": (MistralConfig, {"sliding_window": None}),
    "mistral-sliding": (MistralConfig, {"sliding_window": 8}),
    "qwen3": (Qwen3Config, {"head_dim": 32, "tie_word_embeddings": True}),
}


def write_tiny(name: str, folder: Path) -> torch.nn.Module:
    """Save a tiny model with random biases and norms too, and return it as transformers loads it back."""
    kind, extra = CONFIGS[name]
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(kind(**SHAPE, **extra), dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def tiny_ids(sequences: int = 3, length: int = 33) -> torch.Tensor:
    """int64 [sequences, length] of valid ids."""
    return torch.randint(0, SHAPE["vocab_size"], (sequences, length), generator=torch.Generator().manual_seed(0))
