"""Tiny random models, written by transformers itself: what our loader must agree with."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

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
    "llama3-scaled-rope": (
        LlamaConfig,
        {
            "rope_scaling": {
                "rope_type": "llama3",
                "rope_theta": 5e5,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 16,
            }
        },
    ),
    "gemma2": (Gemma2Config, {"head_dim": 32, "sliding_window": 8, "query_pre_attn_scalar": 24}),
    "gemma2-no-caps": (Gemma2Config, {"attn_logit_softcapping": None, "final_logit_softcapping": None, "head_dim": 16}),
    "gemma3": (Gemma3TextConfig, {"head_dim": 32, "sliding_window": 8, "query_pre_attn_scalar": 24}),
    "phi3": (Phi3Config, {"sliding_window": 8, "tie_word_embeddings": False}),
    "phi3-partial-rotary": (Phi3Config, {"partial_rotary_factor": 0.5, "original_max_position_embeddings": 64}),
    "olmo2": (Olmo2Config, {"rope_theta": 5e5}),
    "olmo2-tied-bias": (Olmo2Config, {"tie_word_embeddings": True, "attention_bias": True}),
    "gpt2": (GPT2Config, {}),
    "gpt2-untied-inner": (GPT2Config, {"tie_word_embeddings": False, "n_inner": 80, "layer_norm_epsilon": 1e-3}),
    "gpt-neox": (GPTNeoXConfig, {"rotary_pct": 0.5, "rotary_emb_base": 5000}),
    "gpt-neox-sequential-no-bias": (GPTNeoXConfig, {"use_parallel_residual": False, "attention_bias": False}),
    "gpt-neox-tied": (GPTNeoXConfig, {"tie_word_embeddings": True}),
}
# GPT-2's own names for SHAPE.
GPT2_SHAPE = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64, "vocab_size": 97, "initializer_range": 0.2}
NO_SPECIAL_IDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


def write_tiny(name: str, folder: Path, seed: int = 1) -> torch.nn.Module:
    """Save a tiny model with random biases and norms too, and return it as transformers loads it back."""
    kind, extra = CONFIGS[name]
    torch.manual_seed(seed)
    shape = GPT2_SHAPE if kind is GPT2Config else SHAPE
    config = kind(**{**shape, **NO_SPECIAL_IDS, **extra})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    kernel = "eager" if kind is Gemma2Config else "sdpa"  # transformers refuses sdpa for it
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=kernel).eval()


def tiny_ids(sequences: int = 3, length: int = 33) -> torch.Tensor:
    """int64 [sequences, length] of valid ids."""
    return torch.randint(0, SHAPE["vocab_size"], (sequences, length), generator=torch.Generator().manual_seed(0))
