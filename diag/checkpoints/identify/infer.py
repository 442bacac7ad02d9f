"""What names and shapes tell about a model whose file does not state it, or states it wrongly.

A bare weight file has no config.json, and an `.apr` file may state no dimension and carry the stamp LlamaForCausalLM
whatever it holds. Shapes cannot lie about themselves, so they are read first and compared with what is stated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from diag.checkpoints.config import ModelConfig, stated
from diag.checkpoints.families import Family, Role
from diag.checkpoints.identify.family import MAX_LAYERS
from diag.checkpoints.reader import TensorInfo
from diag.checkpoints.transforms import Transposed

# A base model saved by itself lacks the prefix of the causal model; the first tensor of each kind → that prefix.
PREFIXES = {"embed_tokens.weight": "model.", "wte.weight": "transformer.", "embed_in.weight": "gpt_neox."}
OWN_PREFIX = ("lm_head.", "embed_out.")  # what a causal model keeps outside of its base model
# Width of a head by (family, hidden size, width of all keys) where the rule below would be wrong. From the published
# config.json of Llama 3.2 1B, TinyLlama 1.1B, SmolLM 1.7B, Phi-3 mini, Gemma 2 27B, Pythia 2.8B and GPT-NeoX 20B; all
# of GPT-2's sizes have 64. Pythia 1B (256) has the widths of Pythia 1.4B (128) and is taken for it.
KNOWN_HEAD_DIM = {
    ("llama", 2048, 512): 64,
    ("llama", 2048, 256): 64,
    ("llama", 2048, 2048): 64,
    ("phi3", 3072, 3072): 96,
    ("gemma2", 4608, 2048): 128,
    ("gpt_neox", 2560, 2560): 80,
    ("gpt_neox", 6144, 6144): 96,
    ("gpt2", 1600, 1600): 64,
}
# Published models from this hidden size on have heads of 128, smaller ones of 64 (Qwen2.5 0.5B: 896; 1.5B: 1536).
WIDE, WIDE_HEAD, NARROW_HEAD = 1536, 128, 64
# Otherwise the first of these that divides the widths of queries and of keys.
HEAD_DIMS = (64, 128, 96, 80, 256, 112, 160, 48, 32, 16, 8)
_NUMBER = re.compile(r"(?<=\.)(?:0|[1-9][0-9]{0,3})(?=\.)")


def with_causal_prefix(tensors: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
    """The tensors with the prefix that Hugging Face's causal models have; `stored` keeps the name in the file."""
    tensors = _one_head(tensors)
    prefix = next((p for first, p in PREFIXES.items() if first in tensors), None)
    if prefix is None:
        return dict(tensors)

    def named(info: TensorInfo) -> TensorInfo:
        if info.name.startswith((prefix, *OWN_PREFIX)):
            return info
        return replace(info, name=prefix + info.name, stored=info.stored or info.name)

    return {info.name: info for info in map(named, tensors.values())}


def as_conv1d(tensors: Mapping[str, TensorInfo], family: Family) -> tuple[dict[str, TensorInfo], int]:
    """GPT-2's matrices as [in, out], as Conv1D has them, where the file has [out, in], as nn.Linear does (nanoGPT),
    and how many were turned. The fused q, k and v, which is three times as wide as long, tells which."""
    turned = [r.pattern for r in family.roles.values() if r.kind == "matrix" and r.per_layer]
    fused = family.roles.get("qkv")
    first = tensors.get(fused.tensor(0)) if fused else None
    if family.name != "gpt2" or first is None or len(first.shape) != 2 or first.shape[0] != 3 * first.shape[1]:
        return dict(tensors), 0
    names = {p.replace("{i}", str(layer)) for p in turned for layer in range(MAX_LAYERS)} & tensors.keys()
    plain = {n for n in names if tensors[n].transform is None and len(tensors[n].shape) == 2}

    def turn(info: TensorInfo) -> TensorInfo:
        if info.name not in plain:
            return info
        return replace(info, shape=info.shape[::-1], stored_shape=info.shape, transform=Transposed())

    return {name: turn(info) for name, info in tensors.items()}, len(plain)


def _one_head(tensors: Mapping[str, TensorInfo]) -> Mapping[str, TensorInfo]:
    """GPT-NeoX's head under the name of its published files; newer code calls it lm_head, and savers may write that."""
    head = tensors.get("lm_head.weight")
    is_neox = any(name in tensors for name in ("gpt_neox.embed_in.weight", "embed_in.weight"))
    if head is None or not is_neox or "embed_out.weight" in tensors:
        return tensors
    renamed = replace(head, name="embed_out.weight", stored=head.stored or head.name)
    return {name: info for name, info in tensors.items() if info is not head} | {renamed.name: renamed}


def config_from_shapes(family: Family, tensors: Mapping[str, TensorInfo], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of config.json read off names and shapes, as far as they can be. The number of heads needs their width,
    which shapes show only through a norm of one head; otherwise it is what published models of these widths have."""
    found: dict[str, Any] = {}
    embedding = _shape(family, tensors, "embedding")
    if len(embedding) == 2:
        found |= {"vocab_size": embedding[0], "hidden_size": embedding[1]}
        if not raw and family.roles["head"].tensor() not in tensors and not family.defaults.tie_word_embeddings:
            found["tie_word_embeddings"] = True  # transformers drops the head of a tied model when it saves
    layers = layers_held(family, tensors)
    if layers and layers == list(range(len(layers))):
        found["num_hidden_layers"] = len(layers)
    elif layers and stated(dict(raw), "num_hidden_layers") is None:  # a gap: the last layer tells, the rest is missing
        found["num_hidden_layers"] = layers[-1] + 1
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
        head_dim = _usual_head_dim(family, known.get("hidden_size"), q, kv)
    if not head_dim or q % head_dim or kv % head_dim:
        return {}
    return {
        "head_dim": head_dim,
        "num_attention_heads": q // head_dim,
        "num_key_value_heads": kv // head_dim,
    }


def _usual_head_dim(family: Family, hidden: Any, q: int, kv: int) -> int | None:
    """What a published model of these widths has: the table, the family's one size, or the rule of thumb."""
    listed = KNOWN_HEAD_DIM.get((family.name, hidden, kv)) if isinstance(hidden, int) else None
    usual = WIDE_HEAD if isinstance(hidden, int) and hidden >= WIDE else NARROW_HEAD
    guesses = (listed or family.defaults.head_dim or usual, *HEAD_DIMS)
    return next((d for d in guesses if q % d == 0 and kv % d == 0), None)


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
    shapes = config_from_shapes(family, tensors, {"head_dim": config.head_dim, "num_hidden_layers": config.num_layers})
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


def layers_held(family: Family, tensors: Collection[str]) -> list[int]:
    """The layers of which any tensor is there, of the first MAX_LAYERS. Cost: 1 µs a name."""
    roles = [role for role in family.roles.values() if role.per_layer]
    numbers = {int(number) for name in tensors for number in _NUMBER.findall(name)}
    return [n for n in sorted(numbers) if n < MAX_LAYERS and any(role.tensor(n) in tensors for role in roles)]


def _names(role: Role) -> Iterator[str]:
    return (role.tensor(layer) for layer in range(MAX_LAYERS if role.per_layer else 1))
