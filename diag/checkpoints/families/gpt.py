"""GPT-2 (learned positions, Conv1D matrices stored [in, out]) and GPT-NeoX (fused attention, parallel residual).

Both have LayerNorms with biases and no gate. Source: transformers' modelling code and configuration classes.
"""

from __future__ import annotations

from diag.checkpoints.config import Defaults
from diag.checkpoints.families.base import Family, Role

_H, _N = "transformer.h.{i}.", "gpt_neox.layers.{i}."


def _layer_norm(key: str, name: str) -> dict[str, Role]:
    """Weight and bias of a LayerNorm."""
    return {
        key: Role(f"{name}.weight", ("hidden",), "norm"),
        f"{key}_bias": Role(f"{name}.bias", ("hidden",), "bias"),
    }


GPT2 = Family(
    "gpt2",
    ("GPT2LMHeadModel",),
    ("gpt2",),
    {
        "embedding": Role("transformer.wte.weight", ("vocab", "hidden"), side="columns"),
        "positions": Role("transformer.wpe.weight", ("positions", "hidden"), side="columns"),
        # Conv1D keeps [in, out]: the rows of what reads the stream face it, the columns of what writes it.
        "qkv": Role(_H + "attn.c_attn.weight", ("hidden", "qkv"), side="rows"),
        "qkv_bias": Role(_H + "attn.c_attn.bias", ("qkv",), "bias"),
        "o": Role(_H + "attn.c_proj.weight", ("q", "hidden"), side="columns"),
        "o_bias": Role(_H + "attn.c_proj.bias", ("hidden",), "bias"),
        "up": Role(_H + "mlp.c_fc.weight", ("hidden", "intermediate"), side="rows"),
        "up_bias": Role(_H + "mlp.c_fc.bias", ("intermediate",), "bias"),
        "down": Role(_H + "mlp.c_proj.weight", ("intermediate", "hidden"), side="columns"),
        "down_bias": Role(_H + "mlp.c_proj.bias", ("hidden",), "bias"),
        "head": Role("lm_head.weight", ("vocab", "hidden"), side="columns"),
    }
    | _layer_norm("attention_norm", _H + "ln_1")
    | _layer_norm("mlp_norm", _H + "ln_2")
    | _layer_norm("final_norm", "transformer.ln_f"),
    told_by=("qkv", "up"),
    markers=("qkv",),
    defaults=Defaults(
        rms_norm_eps=1e-5,
        rope_theta=None,
        tie_word_embeddings=True,
        max_position_embeddings=1024,
        intermediate_factor=4,
        hidden_act="gelu_new",
    ),
    updates=("attn", "mlp"),
    grouped=False,
    renamed={
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_position_embeddings": "n_positions",
        "rms_norm_eps": "layer_norm_epsilon",
        "hidden_act": "activation_function",
    },
    unread=("hidden_act",),
    settings=("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn"),
)
GPT_NEOX = Family(
    "gpt_neox",
    ("GPTNeoXForCausalLM",),
    ("gpt_neox",),
    {
        "embedding": Role("gpt_neox.embed_in.weight", ("vocab", "hidden"), side="columns"),
        "qkv": Role(_N + "attention.query_key_value.weight", ("qkv", "hidden"), side="columns"),
        "qkv_bias": Role(_N + "attention.query_key_value.bias", ("qkv",), "bias", if_attention_bias=True),
        "o": Role(_N + "attention.dense.weight", ("hidden", "q"), side="rows"),
        "o_bias": Role(_N + "attention.dense.bias", ("hidden",), "bias", if_attention_bias=True),
        "up": Role(_N + "mlp.dense_h_to_4h.weight", ("intermediate", "hidden"), side="columns"),
        "up_bias": Role(_N + "mlp.dense_h_to_4h.bias", ("intermediate",), "bias"),
        "down": Role(_N + "mlp.dense_4h_to_h.weight", ("hidden", "intermediate"), side="rows"),
        "down_bias": Role(_N + "mlp.dense_4h_to_h.bias", ("hidden",), "bias"),
        "head": Role("embed_out.weight", ("vocab", "hidden"), side="columns"),
    }
    | _layer_norm("attention_norm", _N + "input_layernorm")
    | _layer_norm("mlp_norm", _N + "post_attention_layernorm")
    | _layer_norm("final_norm", "gpt_neox.final_layer_norm"),
    told_by=("qkv", "up"),
    markers=("qkv",),
    defaults=Defaults(rms_norm_eps=1e-5, attention_bias=True, hidden_act="gelu"),
    updates=("attention", "mlp"),
    grouped=False,
    renamed={"rms_norm_eps": "layer_norm_eps"},
    settings=("attention_bias", "use_parallel_residual", "rotary_pct", "rotary_emb_base"),
    published_theta=(1e4,),  # GPT-NeoX 20B, Pythia, Dolly 2, RedPajama-INCITE, Polyglot-Ko
)
