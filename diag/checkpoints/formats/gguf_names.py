"""What GGUF calls things: architectures, key-values and tensors, and how exporters change tensors.

Names of tensors come from the tables of the `gguf` package, which say what Hugging Face's code calls them. A new
architecture is one row of ARCHITECTURES. Source of the rest: convert_hf_to_gguf.py of llama.cpp (today its folder
conversion/: llama, gemma, phi, olmo, gpt2, gpt_neox and base), for what is written and changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from diag.checkpoints.families import Family
from diag.checkpoints.families.gemma import GEMMA2, GEMMA3
from diag.checkpoints.families.gpt import GPT2, GPT_NEOX
from diag.checkpoints.families.llama import LLAMA, PHI3, QWEN2, QWEN3
from diag.checkpoints.families.olmo2 import OLMO2
from diag.checkpoints.ggml import gguf_package
from diag.checkpoints.transforms import PairedToHalves, PartsToHeads, Plus, StoredTransform, Transposed

# A rule makes the transform of one tensor from the config and the stored shape; None: the config says too little.
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

    family: whose code runs it, under whose names its tensors are opened. keys: key-value, without the architecture in
    front → key of config.json. changed: tensor, without `blk.N.` in front (with its suffix, where only one is changed)
    → rule of its transform. flags: key of config.json → tensor whose presence sets it.
    """

    family: Family
    keys: dict[str, str]
    changed: dict[str, Rule] = field(default_factory=dict)
    flags: dict[str, str] = field(default_factory=dict)


_SIZES = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
}
KEYS = _SIZES | {
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "rope.freq_base": "rope_theta",
}
_GPT_KEYS = _SIZES | {"attention.layer_norm_epsilon": "rms_norm_eps"}
_GEMMA_KEYS = KEYS | {
    "attention.sliding_window": "sliding_window",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
_GEMMA_NORMS = ("output_norm", "attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
_BIAS_OF_O = {"attention_bias": "blk.0.attn_output.bias"}


def _as_spelt(family: Family, keys: dict[str, str]) -> dict[str, str]:
    """`keys` with the family's own spelling of keys of config.json."""
    return {ours: family.renamed.get(theirs, theirs) for ours, theirs in keys.items()}


ARCHITECTURES: dict[str, Architecture] = {
    # Mistral too is exported as "llama": nothing in the file tells them apart, and the forward pass is the same.
    "llama": Architecture(
        LLAMA,
        {"rope.dimension_count": "head_dim"} | KEYS,  # files of before 2024 have no key_length
        changed={"attn_q": _paired("num_attention_heads"), "attn_k": _paired("num_key_value_heads")},
        flags=_BIAS_OF_O | {"mlp_bias": "blk.0.ffn_down.bias"},
    ),
    "qwen2": Architecture(QWEN2, KEYS),
    "qwen3": Architecture(QWEN3, KEYS, flags=_BIAS_OF_O),
    "gemma2": Architecture(GEMMA2, _GEMMA_KEYS, dict.fromkeys(_GEMMA_NORMS, _less_one), _BIAS_OF_O),
    "gemma3": Architecture(
        GEMMA3,
        _GEMMA_KEYS | {"rope.freq_base_swa": "rope_local_base_freq"},
        dict.fromkeys((*_GEMMA_NORMS, "attn_q_norm", "attn_k_norm"), _less_one),
        _BIAS_OF_O,
    ),
    "phi3": Architecture(
        PHI3,
        KEYS
        | {
            "attention.sliding_window": "sliding_window",
            "rope.scaling.original_context_length": "original_max_position_embeddings",
        },
    ),
    "olmo2": Architecture(OLMO2, KEYS | {"attention.sliding_window": "sliding_window"}, flags=_BIAS_OF_O),
    "gpt2": Architecture(
        GPT2,
        _as_spelt(GPT2, _GPT_KEYS),
        {f"{stem}.weight": _transposed for stem in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")},
    ),
    "gptneox": Architecture(
        GPT_NEOX,
        _as_spelt(GPT_NEOX, _GPT_KEYS)
        | {"use_parallel_residual": "use_parallel_residual", "rope.freq_base": "rotary_emb_base"},
        {"attn_qkv": _by_parts("num_attention_heads")},
        {"attention_bias": "blk.0.attn_qkv.bias"},
    ),
}
_PLACE = re.compile(r"(?:blk\.(0|[1-9][0-9]{0,5})\.)?([a-z0-9_]+)\.(weight|bias)")


@cache
def tensor_names(architecture: str) -> Mapping[str, str]:
    """Tensor of a row of ARCHITECTURES, without `blk.N.` in front and without suffix → its name in Hugging Face's code,
    with {i} for the layer and without suffix."""
    gguf = gguf_package()
    number = next(number for number, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    to_gguf = gguf.get_tensor_name_map(number, 1)  # of a model with one layer: the others are called alike
    roles = ARCHITECTURES[architecture].family.roles
    stems = {key: role.pattern.rpartition(".")[0] for key, role in roles.items()}
    found = {to_gguf.get_name(stem.replace("{i}", "0")): stem for stem in stems.values()}
    # Older exporters wrote a copy of a tied head, for which the package has no place in a tied architecture.
    named = {"output": stems["head"]} | {name: stem for name, stem in found.items() if name}
    return {name.removeprefix("blk.0."): stem for name, stem in named.items()}


def hugging_face_name(architecture: str, stored: str) -> tuple[str, Rule | None] | None:
    """The name in Hugging Face's code of a tensor called `stored`, and the rule of its transform; None for a tensor, or
    an architecture, that the tables do not know."""
    match = _PLACE.fullmatch(stored)
    if match is None or architecture not in ARCHITECTURES:
        return None
    layer, stem, suffix = match.groups()
    name = tensor_names(architecture).get(stem)
    if name is None or ("{i}" in name) != (layer is not None):
        return None
    changed = ARCHITECTURES[architecture].changed
    return name.replace("{i}", layer or "") + f".{suffix}", changed.get(f"{stem}.{suffix}", changed.get(stem))
