"""A small Qwen2 checkpoint with the statistics of a trained one, written to disk, with defects planted on request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from diag.checkpoints import Checkpoint

Tensors = dict[str, np.ndarray]
Build = Callable[..., Checkpoint]

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 100,
    "vocab_size": 150,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
}
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def healthy_tensors(seed: int = 0, hidden: int = 64, layers: int = 3) -> Tensors:
    """Random matrices with what training leaves: unequal residual dimensions and unequal rows."""
    rng = np.random.default_rng(seed)
    stream = np.exp(0.6 * rng.standard_normal(hidden))

    def matrix(out: int, width: int, *, rows_face_stream: bool = False) -> np.ndarray:
        values = 0.02 * rng.standard_normal((out, width)) * np.exp(0.4 * rng.standard_normal((out, 1)))
        values = values * (stream[:, None] if rows_face_stream else stream[None, :])
        return values.astype(np.float32)

    tensors = {EMBEDDING: matrix(150, hidden), "model.norm.weight": 7 + rng.random(hidden, dtype=np.float32)}
    for i in range(layers):
        p = f"model.layers.{i}."
        tensors |= {
            p + "input_layernorm.weight": 1 + rng.random(hidden, dtype=np.float32),
            p + "post_attention_layernorm.weight": 1 + rng.random(hidden, dtype=np.float32),
            p + "self_attn.q_proj.weight": matrix(64, hidden),
            p + "self_attn.k_proj.weight": matrix(32, hidden),
            p + "self_attn.v_proj.weight": matrix(32, hidden),
            p + "self_attn.o_proj.weight": matrix(hidden, 64, rows_face_stream=True),
            p + "mlp.gate_proj.weight": matrix(100, hidden),
            p + "mlp.up_proj.weight": matrix(100, hidden),
            p + "mlp.down_proj.weight": matrix(hidden, 100, rows_face_stream=True),
        }
        for letter, size in (("q", 64), ("k", 32), ("v", 32)):
            tensors[f"{p}self_attn.{letter}_proj.bias"] = rng.standard_normal(size).astype(np.float32)
    return tensors
