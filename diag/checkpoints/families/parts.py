"""The roles that most families share, under the names of Llama's code, and ways to build them."""

from __future__ import annotations

from diag.checkpoints.families.base import Role

LAYER = "model.layers.{i}."
ATTENTION, MLP = LAYER + "self_attn.", LAYER + "mlp."

EMBEDDING_AND_HEAD = {
    "embedding": Role("model.embed_tokens.weight", ("vocab", "hidden"), side="columns"),
    "final_norm": Role("model.norm.weight", ("hidden",), "norm"),
    "head": Role("lm_head.weight", ("vocab", "hidden"), side="columns"),
}
SEPARATE_ATTENTION = {
    "q": Role(ATTENTION + "q_proj.weight", ("q", "hidden"), side="columns"),
    "k": Role(ATTENTION + "k_proj.weight", ("kv", "hidden"), side="columns"),
    "v": Role(ATTENTION + "v_proj.weight", ("kv", "hidden"), side="columns"),
    "o": Role(ATTENTION + "o_proj.weight", ("hidden", "q"), side="rows"),
}
GATED_MLP = {
    "gate": Role(MLP + "gate_proj.weight", ("intermediate", "hidden"), side="columns"),
    "up": Role(MLP + "up_proj.weight", ("intermediate", "hidden"), side="columns"),
    "down": Role(MLP + "down_proj.weight", ("hidden", "intermediate"), side="rows"),
}


def norm(name: str, width: str = "hidden") -> Role:
    """A norm weight of every layer: `name` is what stands between the layer and ".weight"."""
    return Role(f"{LAYER}{name}.weight", (width,), "norm")


PRE_NORMS = {"attention_norm": norm("input_layernorm"), "mlp_norm": norm("post_attention_layernorm")}
LLAMA_LIKE = EMBEDDING_AND_HEAD | PRE_NORMS | SEPARATE_ATTENTION | GATED_MLP


def biases(letters: str, *, if_attention_bias: bool) -> dict[str, Role]:
    """Biases of the attention projections named by `letters`, of q, k, v and o."""
    widths = {"q": "q", "k": "kv", "v": "kv", "o": "hidden"}
    return {
        f"{c}_bias": Role(f"{ATTENTION}{c}_proj.bias", (widths[c],), "bias", if_attention_bias=if_attention_bias)
        for c in letters
    }


def qk_norms(q: str = "head_dim", k: str = "head_dim") -> dict[str, Role]:
    """Norms of queries and keys, over a head or over all heads."""
    return {"q_norm": norm("self_attn.q_norm", q), "k_norm": norm("self_attn.k_norm", k)}
