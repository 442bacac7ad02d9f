"""Llama and what is built like it: Mistral, Qwen2 (biases on q, k, v), Qwen3 (norms on q and k), Phi-3 (fused).

Source: transformers' modelling code and configuration classes of each.
"""

from __future__ import annotations

from diag.checkpoints.config import Defaults
from diag.checkpoints.families.base import Family, Role
from diag.checkpoints.families.parts import ATTENTION, EMBEDDING_AND_HEAD, LLAMA_LIKE, MLP, PRE_NORMS, biases, qk_norms

_WINDOW = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")

LLAMA = Family(
    "llama",
    ("LlamaForCausalLM",),
    ("llama",),
    LLAMA_LIKE | biases("qkvo", if_attention_bias=True),
    told_by=("q", "gate"),
    settings=("attention_bias", "mlp_bias"),
    published_theta=(1e4, 1e5, 1.3e5, 5e5, 1e6),  # Llama 1 to 3, SmolLM2 (1e5, 1.3e5), Code Llama (1e6)
)
MISTRAL = Family(
    "mistral",
    ("MistralForCausalLM",),
    ("mistral",),
    LLAMA_LIKE,
    defaults=Defaults(max_position_embeddings=131_072),
    settings=("sliding_window",),
    published_theta=(1e4, 1e6, 1e8, 1e9),
)
QWEN2 = Family(
    "qwen2",
    ("Qwen2ForCausalLM",),
    ("qwen2",),
    LLAMA_LIKE | biases("qkv", if_attention_bias=False),
    told_by=("q_bias", "q"),
    # A bias on the output projection too is a Llama with attention_bias.
    told_without=(ATTENTION + "o_proj.bias",),
    markers=("q_bias",),
    defaults=Defaults(max_position_embeddings=32_768),
    settings=_WINDOW,
    published_theta=(1e6, 1e5, 1e7),
)
QWEN3 = Family(
    "qwen3",
    ("Qwen3ForCausalLM",),
    ("qwen3",),
    LLAMA_LIKE | qk_norms() | biases("qkvo", if_attention_bias=True),
    told_by=("q_norm", "q"),
    markers=("q_norm", "k_norm"),
    defaults=Defaults(max_position_embeddings=32_768, head_dim=128),
    settings=("attention_bias", *_WINDOW),
    published_theta=(1e6, 5e6, 1e7),
)
PHI3 = Family(
    "phi3",
    ("Phi3ForCausalLM",),
    ("phi3",),
    EMBEDDING_AND_HEAD
    | PRE_NORMS
    | {
        "qkv": Role(ATTENTION + "qkv_proj.weight", ("qkv", "hidden"), side="columns"),
        "o": Role(ATTENTION + "o_proj.weight", ("hidden", "q"), side="rows"),
        "gate_up": Role(MLP + "gate_up_proj.weight", ("gate_up", "hidden"), side="columns"),
        "down": Role(MLP + "down_proj.weight", ("hidden", "intermediate"), side="rows"),
    },
    told_by=("qkv", "gate_up"),
    markers=("qkv", "gate_up"),
    defaults=Defaults(rms_norm_eps=1e-5, max_position_embeddings=4096),
    settings=("sliding_window", "original_max_position_embeddings"),
    published_theta=(1e4,),
)
