"""What names and shapes tell about a model whose file does not state it, or states it wrongly.

Files of one trainer had no dimensions at all and were stamped LlamaForCausalLM whatever they held (formats.md); a bare
weight file has no config.json. Shapes cannot lie about themselves, so they are read first and compared with the claims.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diag.checkpoints.config import ModelConfig, stated
from diag.checkpoints.families import Family, Role
from diag.checkpoints.families.identify import MAX_LAYERS
from diag.checkpoints.reader import TensorInfo

# A base model saved by itself lacks the prefix of the causal model; the first tensor of each kind → that prefix.
PREFIXES = {"embed_tokens.weight": "model.", "wte.weight": "transformer.", "embed_in.weight": "gpt_neox."}
OWN_PREFIX = ("lm_head.", "embed_out.")  # what a causal model keeps outside of its base model
# Widths of a head in published models, the usual ones first. One must divide the widths of queries and of keys.
HEAD_DIMS = (128, 64, 96, 80, 256, 112, 160, 48, 32, 16, 8)


def canonical(tensors: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
    """The tensors with the prefix that Hugging Face's causal models have; `stored` keeps the name in the file."""
    prefix = next((p for first, p in PREFIXES.items() if first in tensors), None)
    if prefix is None:
        return dict(tensors)

    def named(info: TensorInfo) -> TensorInfo:
        if info.name.startswith((prefix, *OWN_PREFIX)):
            return info
        return replace(info, name=prefix + info.name, stored=info.stored or info.name)

    return {info.name: info for info in map(named, tensors.values())}


def dimensions(family: Family, tensors: Mapping[str, TensorInfo], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of config.json read off names and shapes, as far as they can be. The number of heads needs their width,
    which shapes show only through a norm of one head; otherwise the first of HEAD_DIMS that fits is taken."""
    found: dict[str, Any] = {}
    embedding = _shape(family, tensors, "embedding")
    if len(embedding) == 2:
        found |= {"vocab_size": embedding[0], "hidden_size": embedding[1]}
        if family.roles["head"].tensor() not in tensors and not family.defaults.tie_word_embeddings:
            found["tie_word_embeddings"] = True  # transformers drops the head of a tied model when it saves
    layers = _layers(family, tensors)
    if layers and layers == list(range(len(layers))):  # with a gap, or a layer far off, the names do not tell
        found["num_hidden_layers"] = len(layers)
    up, fused = _shape(family, tensors, "up"), _shape(family, tensors, "gate_up")
    if len(up) == 2:
        found["intermediate_size"] = next((n for n in up if n != found.get("hidden_size")), up[0])
    elif len(fused) == 2:
        found["intermediate_size"] = fused[0] // 2
    positions = _shape(family, tensors, "positions")
    if len(positions) == 2:
        found["max_position_embeddings"] = positions[0]
    return found | _heads(family, tensors, dict(raw) | found)


def _heads(family: Family, tensors: Mapping[str, TensorInfo], known: dict[str, Any]) -> dict[str, Any]:
    widths = attention_widths(family, tensors)
    if widths is None:
        return {}
    q, kv = widths
    norm = _shape(family, tensors, "q_norm")
    heads = stated(known, "num_attention_heads")
    if len(norm) == 1 and norm[0] < q:
        head_dim: int | None = norm[0]
    elif isinstance(known.get("head_dim"), int):
        head_dim = known["head_dim"]
    elif isinstance(heads, int) and heads > 0 and q % heads == 0:
        head_dim = q // heads
    else:
        head_dim = next((d for d in HEAD_DIMS if q % d == 0 and kv % d == 0), None)
    if not head_dim or q % head_dim or kv % head_dim:
        return {}
    return {
        "head_dim": head_dim,
        "num_attention_heads": q // head_dim,
        "num_key_value_heads": kv // head_dim,
    }


def attention_widths(family: Family, tensors: Mapping[str, TensorInfo]) -> tuple[int, int] | None:
    """(width of all queries, width of all keys) from shapes; None where they cannot be told."""
    q, k = _shape(family, tensors, "q"), _shape(family, tensors, "k")
    if len(q) == len(k) == 2:
        return q[0], k[0]
    fused, o = _shape(family, tensors, "qkv"), _shape(family, tensors, "o")
    if len(fused) != 2 or len(o) != 2:
        return None
    if not family.grouped:
        return max(fused) // 3, max(fused) // 3
    width, rest = o[1], fused[0] - o[1]
    return (width, rest // 2) if rest > 0 and rest % 2 == 0 else None


def contradictions(family: Family | None, config: ModelConfig | None, tensors: Mapping[str, TensorInfo]) -> list[str]:
    """One sentence for every size that the configuration states and the shapes deny."""
    if family is None or config is None:
        return []
    shapes = dimensions(family, tensors, {"head_dim": config.head_dim})
    claims = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "intermediate_size": config.intermediate_size,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
    }
    return [
        f"The configuration states {key} {claim:,}, and the tensors have {shapes[key]:,}."
        for key, claim in claims.items()
        if key in shapes and shapes[key] != claim
    ]


def _shape(family: Family, tensors: Mapping[str, TensorInfo], key: str) -> tuple[int, ...]:
    """The shape of the first tensor with this role; () without one."""
    role = family.roles.get(key)
    if role is None:
        return ()
    info = next((tensors[name] for name in _names(role) if name in tensors), None)
    return info.shape if info else ()


def _layers(family: Family, tensors: Mapping[str, TensorInfo]) -> list[int]:
    """The layers of which any tensor is there."""
    roles = [role for role in family.roles.values() if role.per_layer]
    return [layer for layer in range(MAX_LAYERS) if any(role.tensor(layer) in tensors for role in roles)]


def _names(role: Role) -> list[str]:
    return [role.tensor(layer) for layer in range(MAX_LAYERS)] if role.per_layer else [role.tensor()]
