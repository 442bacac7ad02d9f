"""Gemma 2 and the text part of Gemma 3: norms multiply by 1 + w, and every update is normed before it is added.

Source: transformers' modelling code and configuration classes of both.
"""

from __future__ import annotations

from diag.checkpoints.config import Defaults
from diag.checkpoints.families.base import Family
from diag.checkpoints.families.parts import EMBEDDING_AND_HEAD, GATED_MLP, SEPARATE_ATTENTION, biases, norm, qk_norms

_ROLES = (
    EMBEDDING_AND_HEAD
    | {
        "attention_norm": norm("input_layernorm"),
        "post_attention_norm": norm("post_attention_layernorm"),
        "mlp_norm": norm("pre_feedforward_layernorm"),
        "post_mlp_norm": norm("post_feedforward_layernorm"),
    }
    | SEPARATE_ATTENTION
    | GATED_MLP
    | biases("qkvo", if_attention_bias=True)
)
_SETTINGS = (
    *("attention_bias", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"),
    *("sliding_window", "layer_types"),
)
_UPDATES = ("post_attention_layernorm", "post_feedforward_layernorm")

GEMMA2 = Family(
    "gemma2",
    ("Gemma2ForCausalLM",),
    ("gemma2",),
    _ROLES,
    told_by=("mlp_norm", "post_mlp_norm"),
    markers=("post_attention_norm", "mlp_norm"),
    norm_offset=1,
    defaults=Defaults(
        tie_word_embeddings=True, max_position_embeddings=8192, head_dim=256, hidden_act="gelu_pytorch_tanh"
    ),
    updates=_UPDATES,
    renamed={"hidden_act": "hidden_activation"},
    unread=("hidden_act",),
    settings=_SETTINGS,
    attention="eager",  # transformers' sdpa has no place for the cap on attention logits
    published_theta=(1e4,),
    begins=True,
)
GEMMA3 = Family(
    "gemma3",
    ("Gemma3ForCausalLM",),
    ("gemma3_text",),
    _ROLES | qk_norms(),
    told_by=("mlp_norm", "post_mlp_norm", "q_norm"),
    markers=("q_norm", "mlp_norm"),
    norm_offset=1,
    defaults=Defaults(
        tie_word_embeddings=True,
        max_position_embeddings=131_072,
        head_dim=256,
        rope_theta=1_000_000.0,
        hidden_act="gelu_pytorch_tanh",
    ),
    updates=_UPDATES,
    renamed={"hidden_act": "hidden_activation"},
    unread=("hidden_act",),
    settings=(*_SETTINGS, "rope_local_base_freq", "sliding_window_pattern", "use_bidirectional_attention"),
    published_theta=(1e6,),
    begins=True,
)
