"""OLMo 2: no norm before attention or MLP but one behind each, and norms over all queries and all keys.

Source: transformers' modelling code and configuration class.
"""

from __future__ import annotations

from diag.checkpoints.config import Defaults
from diag.checkpoints.families.base import Family
from diag.checkpoints.families.parts import EMBEDDING_AND_HEAD, GATED_MLP, SEPARATE_ATTENTION, biases, norm, qk_norms

OLMO2 = Family(
    "olmo2",
    ("Olmo2ForCausalLM",),
    ("olmo2",),
    EMBEDDING_AND_HEAD
    | {
        "post_attention_norm": norm("post_attention_layernorm"),
        "post_mlp_norm": norm("post_feedforward_layernorm"),
    }
    | SEPARATE_ATTENTION
    | qk_norms("q", "kv")
    | GATED_MLP
    | biases("qkvo", if_attention_bias=True),
    told_by=("post_mlp_norm", "q_norm"),
    markers=("post_mlp_norm", "q_norm"),
    defaults=Defaults(rms_norm_eps=1e-5),
    updates=("post_attention_layernorm", "post_feedforward_layernorm"),
    settings=("attention_bias",),
    published_theta=(5e5,),
)
