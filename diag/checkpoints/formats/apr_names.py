"""What `.apr` metadata and tensor names mean in Hugging Face's terms, as tables.

Names in a file are Hugging Face's own, or those of GGUF (token_embd, blk.N…) where it was imported from one.
"""

from __future__ import annotations

import re
from typing import Any

# Metadata → config.json.
KEYS = {
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "vocab_size": "vocab_size",
    "intermediate_size": "intermediate_size",
    "max_position_embeddings": "max_position_embeddings",
    "rope_theta": "rope_theta",
    "rms_norm_eps": "rms_norm_eps",
    "head_dim": "head_dim",
}
# GGUF's names, of the families that were exported so; {i} is the layer.
NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
    "blk.{i}.attn_norm.weight": "model.layers.{i}.input_layernorm.weight",
    "blk.{i}.ffn_norm.weight": "model.layers.{i}.post_attention_layernorm.weight",
    "blk.{i}.attn_q.weight": "model.layers.{i}.self_attn.q_proj.weight",
    "blk.{i}.attn_k.weight": "model.layers.{i}.self_attn.k_proj.weight",
    "blk.{i}.attn_v.weight": "model.layers.{i}.self_attn.v_proj.weight",
    "blk.{i}.attn_output.weight": "model.layers.{i}.self_attn.o_proj.weight",
    "blk.{i}.attn_q.bias": "model.layers.{i}.self_attn.q_proj.bias",
    "blk.{i}.attn_k.bias": "model.layers.{i}.self_attn.k_proj.bias",
    "blk.{i}.attn_v.bias": "model.layers.{i}.self_attn.v_proj.bias",
    "blk.{i}.attn_q_norm.weight": "model.layers.{i}.self_attn.q_norm.weight",
    "blk.{i}.attn_k_norm.weight": "model.layers.{i}.self_attn.k_norm.weight",
    "blk.{i}.ffn_gate.weight": "model.layers.{i}.mlp.gate_proj.weight",
    "blk.{i}.ffn_up.weight": "model.layers.{i}.mlp.up_proj.weight",
    "blk.{i}.ffn_down.weight": "model.layers.{i}.mlp.down_proj.weight",
}
EMBEDDING, HEAD = NAMES["token_embd.weight"], NAMES["output.weight"]
_BLOCK = re.compile(r"blk\.(0|[1-9][0-9]{0,5})\.(.+)")
ADJACENT = 0  # rope_type


def hugging_face_name(name: str) -> str:
    """The name that Hugging Face's code uses; a name of neither kind stays as it is."""
    if match := _BLOCK.fullmatch(name):
        found = NAMES.get(f"blk.{{i}}.{match[2]}")
        return found.replace("{i}", match[1]) if found else name
    return NAMES.get(name, name)


def configuration(metadata: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(config.json's keys as far as the file states them, notes). A stamp is handed on even if it lies: names and
    shapes decide later, and the contradiction is reported."""
    config = {theirs: metadata[ours] for ours, theirs in KEYS.items() if metadata.get(ours) is not None}
    stamp = metadata.get("hf_architecture") or metadata.get("architecture")
    if isinstance(stamp, str):
        if stamp.endswith(("ForCausalLM", "LMHeadModel")):
            config["architectures"] = [stamp]
        else:
            config["model_type"] = stamp.lower()
    if isinstance(metadata.get("hf_model_type"), str):
        config["model_type"] = metadata["hf_model_type"]
    notes: tuple[str, ...] = ()
    if metadata.get("rope_type") == ADJACENT:
        notes = ("The metadata states adjacent-pair rotary (rope_type 0); Hugging Face's code pairs split halves.",)
    return config, notes
