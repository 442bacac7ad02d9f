"""The families, one row each. Sources: the modelling code of transformers for Qwen2, Llama, Mistral, Qwen3."""

from __future__ import annotations

from diag.checkpoints.config import Defaults
from diag.checkpoints.families.base import Family, Role

_ATTENTION, _MLP = "model.layers.{i}.self_attn.", "model.layers.{i}.mlp."
_BASE = {
    "embedding": Role("model.embed_tokens.weight", ("vocab", "hidden"), side="columns"),
    "attention_norm": Role("model.layers.{i}.input_layernorm.weight", ("hidden",), "norm"),
    "q": Role(_ATTENTION + "q_proj.weight", ("q", "hidden"), side="columns"),
    "k": Role(_ATTENTION + "k_proj.weight", ("kv", "hidden"), side="columns"),
    "v": Role(_ATTENTION + "v_proj.weight", ("kv", "hidden"), side="columns"),
    "o": Role(_ATTENTION + "o_proj.weight", ("hidden", "q"), side="rows"),
    "mlp_norm": Role("model.layers.{i}.post_attention_layernorm.weight", ("hidden",), "norm"),
    "gate": Role(_MLP + "gate_proj.weight", ("intermediate", "hidden"), side="columns"),
    "up": Role(_MLP + "up_proj.weight", ("intermediate", "hidden"), side="columns"),
    "down": Role(_MLP + "down_proj.weight", ("hidden", "intermediate"), side="rows"),
    "final_norm": Role("model.norm.weight", ("hidden",), "norm"),
    "head": Role("lm_head.weight", ("vocab", "hidden"), side="columns"),
}


def _biases(letters: str, *, if_attention_bias: bool) -> dict[str, Role]:
    dims = {"q": "q", "k": "kv", "v": "kv", "o": "hidden"}
    return {
        f"{c}_bias": Role(f"{_ATTENTION}{c}_proj.bias", (dims[c],), "bias", if_attention_bias=if_attention_bias)
        for c in letters
    }


_QK_NORMS = {f"{c}_norm": Role(f"{_ATTENTION}{c}_norm.weight", ("head_dim",), "norm") for c in "qk"}

FAMILIES: tuple[Family, ...] = (
    Family(
        "qwen2",
        ("Qwen2ForCausalLM",),
        ("qwen2",),
        _BASE | _biases("qkv", if_attention_bias=False),
        markers=("q_bias",),
        defaults=Defaults(max_position_embeddings=32_768),
    ),
    Family("llama", ("LlamaForCausalLM",), ("llama",), _BASE | _biases("qkvo", if_attention_bias=True)),
    Family(
        "mistral",
        ("MistralForCausalLM",),
        ("mistral",),
        _BASE,
        defaults=Defaults(max_position_embeddings=131_072),
    ),
    Family(
        "qwen3",
        ("Qwen3ForCausalLM",),
        ("qwen3",),
        _BASE | _QK_NORMS | _biases("qkvo", if_attention_bias=True),
        markers=("q_norm", "k_norm"),
        defaults=Defaults(max_position_embeddings=32_768, head_dim=128),
    ),
)
