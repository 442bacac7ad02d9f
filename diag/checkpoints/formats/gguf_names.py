"""What GGUF calls things, as tables: architectures, key-values and tensors, and how exporters change tensors.

Sources: convert_hf_to_gguf.py of llama.cpp (today its folder conversion/: llama, gemma, phi, olmo, gpt2, gpt_neox and
base) for what is written and changed; tensor_mapping.py of the `gguf` package for the names. A new architecture is one
row of ARCHITECTURES.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diag.checkpoints.transforms import PairedToHalves, PartsToHeads, Plus, StoredTransform, Transposed

# A rule makes the transform of one tensor from the config and the stored shape; None where the config says too little.
Rule = Callable[[Mapping[str, Any], tuple[int, ...]], StoredTransform | None]


def _paired(key: str) -> Rule:
    """Rotary pairs stand side by side in Q and K; `key` counts their heads (LlamaModel.permute)."""
    return lambda config, shape: PairedToHalves(config[key]) if _splits(config.get(key), 2, shape) else None


def _by_parts(key: str) -> Rule:
    """Fused Q, K and V one after the other, where Hugging Face has them head by head (GPTNeoXModel)."""
    return lambda config, shape: PartsToHeads(config[key]) if _splits(config.get(key), 3, shape) else None


def _splits(heads: Any, parts: int, shape: tuple[int, ...]) -> bool:
    whole = isinstance(heads, int) and not isinstance(heads, bool) and heads > 0
    return whole and bool(shape) and shape[0] % (parts * heads) == 0


def _transposed(config: Mapping[str, Any], shape: tuple[int, ...]) -> StoredTransform | None:
    """GPT-2's Conv1D is [in, out] in Hugging Face's code."""
    return Transposed() if len(shape) == 2 else None


def _less_one(config: Mapping[str, Any], shape: tuple[int, ...]) -> StoredTransform:
    """Gemma's norms multiply by 1 + w, and the exporter stores 1 + w."""
    return Plus(-1.0)


@dataclass(frozen=True)
class Architecture:
    """A row: one `general.architecture`.

    keys: key-value, without the architecture in front → key of config.json. names: tensor, without `blk.N.` in front
    and without suffix → name in Hugging Face's code, with {i} for the layer. changed: tensor (suffix included, where
    only one is changed) → rule of its transform. flags: key of config.json → tensor whose presence sets it.
    tied_if_silent: whether the family ties its head by default, so that a head in the file may be the copy that older
    exporters wrote.
    """

    model_type: str
    class_name: str
    keys: dict[str, str]
    names: dict[str, str]
    changed: dict[str, Rule] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)
    tied_if_silent: bool = False


KEYS = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}
_GEMMA_KEYS = KEYS | {
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
_ATTENTION, _MLP = "model.layers.{i}.self_attn.", "model.layers.{i}.mlp."
_TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_BODY = _TOP | {
    "attn_q": _ATTENTION + "q_proj",
    "attn_k": _ATTENTION + "k_proj",
    "attn_v": _ATTENTION + "v_proj",
    "attn_output": _ATTENTION + "o_proj",
    "ffn_gate": _MLP + "gate_proj",
    "ffn_up": _MLP + "up_proj",
    "ffn_down": _MLP + "down_proj",
}
_PRE_NORMS = {
    "attn_norm": "model.layers.{i}.input_layernorm",
    "ffn_norm": "model.layers.{i}.post_attention_layernorm",
}
_QK_NORMS = {"attn_q_norm": _ATTENTION + "q_norm", "attn_k_norm": _ATTENTION + "k_norm"}
_POST_NORMS = {
    "post_attention_norm": "model.layers.{i}.post_attention_layernorm",
    "post_ffw_norm": "model.layers.{i}.post_feedforward_layernorm",
}
_GEMMA_NORMS = _POST_NORMS | {
    "attn_norm": "model.layers.{i}.input_layernorm",
    "ffn_norm": "model.layers.{i}.pre_feedforward_layernorm",
}
_BIAS_OF_O = {"attention_bias": "blk.0.attn_output.bias"}

_GEMMA2 = Architecture(
    "gemma2",
    "Gemma2ForCausalLM",
    _GEMMA_KEYS,
    _BODY | _GEMMA_NORMS,
    changed=dict.fromkeys(("output_norm", *_GEMMA_NORMS), _less_one),
    flags=_BIAS_OF_O,
    tied_if_silent=True,
)

ARCHITECTURES: dict[str, Architecture] = {
    # Mistral too is exported as "llama": nothing in the file tells them apart, and the forward pass is the same.
    "llama": Architecture(
        "llama",
        "LlamaForCausalLM",
        {"rope.dimension_count": "head_dim"} | KEYS,  # files of before 2024 have no key_length
        _BODY | _PRE_NORMS,
        changed={"attn_q": _paired("num_attention_heads"), "attn_k": _paired("num_key_value_heads")},
        flags=_BIAS_OF_O | {"mlp_bias": "blk.0.ffn_down.bias"},
    ),
    "qwen2": Architecture("qwen2", "Qwen2ForCausalLM", KEYS, _BODY | _PRE_NORMS),
    "qwen3": Architecture("qwen3", "Qwen3ForCausalLM", KEYS, _BODY | _PRE_NORMS | _QK_NORMS, flags=_BIAS_OF_O),
    "gemma2": _GEMMA2,
    "gemma3": Architecture(
        "gemma3_text",
        "Gemma3ForCausalLM",
        _GEMMA_KEYS | {"rope.freq_base_swa": "rope_local_base_freq"},
        _GEMMA2.names | _QK_NORMS,
        changed=dict.fromkeys((*_GEMMA2.changed, *_QK_NORMS), _less_one),
        flags=_BIAS_OF_O,
        tied_if_silent=True,
    ),
    "phi3": Architecture(
        "phi3",
        "Phi3ForCausalLM",
        KEYS
        | {
            "attention.sliding_window": "sliding_window",
            "rope.scaling.original_context_length": "original_max_position_embeddings",
        },
        _TOP
        | _PRE_NORMS
        | {
            "attn_qkv": _ATTENTION + "qkv_proj",
            "attn_output": _ATTENTION + "o_proj",
            "ffn_up": _MLP + "gate_up_proj",
            "ffn_down": _MLP + "down_proj",
        },
    ),
    "olmo2": Architecture(
        "olmo2",
        "Olmo2ForCausalLM",
        KEYS | {"attention.sliding_window": "sliding_window"},
        _BODY | _POST_NORMS | _QK_NORMS,
        flags=_BIAS_OF_O,
    ),
    "gpt2": Architecture(
        "gpt2",
        "GPT2LMHeadModel",
        {
            "vocab_size": "vocab_size",
            "context_length": "n_positions",
            "embedding_length": "n_embd",
            "block_count": "n_layer",
            "feed_forward_length": "n_inner",
            "attention.head_count": "n_head",
            "attention.layer_norm_epsilon": "layer_norm_epsilon",
        },
        {
            "token_embd": "transformer.wte",
            "position_embd": "transformer.wpe",
            "output_norm": "transformer.ln_f",
            "output": "lm_head",
            "attn_norm": "transformer.h.{i}.ln_1",
            "attn_qkv": "transformer.h.{i}.attn.c_attn",
            "attn_output": "transformer.h.{i}.attn.c_proj",
            "ffn_norm": "transformer.h.{i}.ln_2",
            "ffn_up": "transformer.h.{i}.mlp.c_fc",
            "ffn_down": "transformer.h.{i}.mlp.c_proj",
        },
        changed={f"{stem}.weight": _transposed for stem in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")},
        tied_if_silent=True,
    ),
    "gptneox": Architecture(
        "gpt_neox",
        "GPTNeoXForCausalLM",
        {
            "vocab_size": "vocab_size",
            "context_length": "max_position_embeddings",
            "embedding_length": "hidden_size",
            "block_count": "num_hidden_layers",
            "feed_forward_length": "intermediate_size",
            "attention.head_count": "num_attention_heads",
            "attention.layer_norm_epsilon": "layer_norm_eps",
            "use_parallel_residual": "use_parallel_residual",
            "rope.freq_base": "rotary_emb_base",
        },
        {
            "token_embd": "gpt_neox.embed_in",
            "output_norm": "gpt_neox.final_layer_norm",
            "output": "embed_out",
            "attn_norm": "gpt_neox.layers.{i}.input_layernorm",
            "attn_qkv": "gpt_neox.layers.{i}.attention.query_key_value",
            "attn_output": "gpt_neox.layers.{i}.attention.dense",
            "ffn_norm": "gpt_neox.layers.{i}.post_attention_layernorm",
            "ffn_up": "gpt_neox.layers.{i}.mlp.dense_h_to_4h",
            "ffn_down": "gpt_neox.layers.{i}.mlp.dense_4h_to_h",
        },
        changed={"attn_qkv": _by_parts("num_attention_heads")},
        flags={"attention_bias": "blk.0.attn_qkv.bias"},
    ),
}
_PLACE = re.compile(r"(?:blk\.(0|[1-9][0-9]{0,5})\.)?([a-z0-9_]+)\.(weight|bias)")


def hugging_face_name(architecture: Architecture, stored: str) -> tuple[str, Rule | None] | None:
    """The name in Hugging Face's code of a tensor called `stored`, and the rule of its transform; None for a tensor
    that the table does not know."""
    match = _PLACE.fullmatch(stored)
    if match is None:
        return None
    layer, stem, suffix = match.groups()
    name = architecture.names.get(stem)
    if name is None or ("{i}" in name) != (layer is not None):
        return None
    rule = architecture.changed.get(f"{stem}.{suffix}", architecture.changed.get(stem))
    return name.replace("{i}", layer or "") + f".{suffix}", rule
