"""GGUF files for tests, written with the `gguf` package by the rules of llama.cpp's converter.

Names come from the package's own name map and changes are written out here in the converter's direction, so that the
reader's tables are checked against something else than themselves.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q

Tensors = Mapping[str, np.ndarray]
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
    "gemma2": gguf.MODEL_ARCH.GEMMA2,
    "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "phi3": gguf.MODEL_ARCH.PHI3,
    "olmo2": gguf.MODEL_ARCH.OLMO2,
    "gpt2": gguf.MODEL_ARCH.GPT2,
    "gpt_neox": gguf.MODEL_ARCH.GPTNEOX,
}


def encoded(values: np.ndarray, kind: Q) -> np.ndarray:
    """`values` as the writer wants them: float types as such, the others as blocks of bytes."""
    return gguf.quants.quantize(values.astype(np.float32), kind)


def random_blocks(shape: tuple[int, ...], kind: Q, seed: int = 0) -> np.ndarray:
    """Valid blocks of a type that the package cannot quantise: random bits, small float16 scales where it is simple."""
    block, width = gguf.GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (math.prod(shape) // block, width), dtype=np.uint8)
    if kind in (Q.Q4_K, Q.Q5_K):  # d and dmin come first
        blocks[:, :4] = (0.002 * rng.random((len(blocks), 2))).astype("<f2").view(np.uint8)
    if kind is Q.Q6_K:  # d comes last
        blocks[:, -2:] = (0.0001 * rng.random((len(blocks), 1))).astype("<f2").view(np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def write(
    path: Path,
    architecture: str,
    values: Mapping[str, Any],
    tensors: Mapping[str, tuple[np.ndarray, Q]],
    vocabulary: int = 0,
    **options: Any,
) -> Path:
    """A GGUF file. `tensors`: name in the file → (bytes or numbers, type). `values`: keys without the architecture."""
    writer = gguf.GGUFWriter(path, architecture, **options)
    for key, value in values.items():
        full = key if key.startswith(("general.", "tokenizer.", "split.")) else f"{architecture}.{key}"
        add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
        (writer.add_array if isinstance(value, list) else add[type(value)])(full, value)
    if vocabulary:
        writer.add_token_list([f"token-{i}" for i in range(vocabulary)])
        writer.add_token_scores([-float(i) for i in range(vocabulary)])
        writer.add_token_merges([f"to {i}" for i in range(vocabulary)])
    for name, (data, kind) in tensors.items():
        writer.add_tensor(name, data, raw_dtype=None if kind in (Q.F32, Q.F16) else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def export(
    path: Path,
    config: Mapping[str, Any],
    tensors: Tensors,
    kind: Q | Callable[[str, np.ndarray], Q] = Q.F32,
    **more: Any,
) -> Path:
    """A Hugging Face checkpoint as GGUF. kind: the type of every matrix (vectors stay F32, as the converter has it), or
    what gives the type of a tensor."""
    family = config["model_type"]
    names = gguf.get_tensor_name_map(ARCHITECTURES[family], 100)
    written = {}
    for name, values in tensors.items():
        stored = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert stored is not None, name
        changed = converted(family, config, name, values)
        which = kind(stored, changed) if callable(kind) else kind if changed.ndim > 1 else Q.F32
        written[stored] = (encoded(changed, which), which)
    written |= extra_tensors(config)
    return write(path, gguf.MODEL_ARCH_NAMES[ARCHITECTURES[family]], key_values(config), written, **more)


def converted(family: str, config: Mapping[str, Any], name: str, values: np.ndarray) -> np.ndarray:
    """What `modify_tensors` of the converter does to a tensor."""
    if family in ("llama", "mistral") and ".self_attn.q_proj." in name:
        return permuted(values, config["num_attention_heads"])
    if family in ("llama", "mistral") and ".self_attn.k_proj." in name:
        return permuted(values, config["num_key_value_heads"])
    if family.startswith("gemma") and name.endswith("norm.weight"):
        return values + np.float32(1)
    if family == "gpt2" and name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
        return np.ascontiguousarray(values.T)
    if family == "gpt_neox" and ".query_key_value." in name:
        parts = values.reshape(config["num_attention_heads"], 3, -1, *values.shape[1:])
        return np.concatenate([parts[:, i].reshape(-1, *values.shape[1:]) for i in range(3)])
    return values


def permuted(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows from split halves to adjacent pairs."""
    split = values.reshape(heads, 2, len(values) // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(values.shape))


def key_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `set_gguf_parameters` of the converter writes for a family."""
    get, family = config.get, config["model_type"]
    hidden, heads = get("hidden_size", get("n_embd")), get("num_attention_heads", get("n_head"))
    rope = get("rope_parameters") or {}
    rope = rope.get("full_attention", rope)
    values = {
        "context_length": get("max_position_embeddings", get("n_positions")),
        "embedding_length": hidden,
        "block_count": get("num_hidden_layers", get("n_layer")),
        "feed_forward_length": get("intermediate_size") or 4 * hidden,
        "attention.head_count": heads,
        "attention.head_count_kv": get("num_key_value_heads"),
        "attention.key_length": get("head_dim"),
        "attention.value_length": get("head_dim"),
        "attention.layer_norm_rms_epsilon": get("rms_norm_eps"),
        "attention.layer_norm_epsilon": get("layer_norm_eps", get("layer_norm_epsilon")),
        "rope.freq_base": None if family == "gpt_neox" else rope.get("rope_theta"),
        "use_parallel_residual": get("use_parallel_residual"),
        "general.file_type": 0,
    }
    if family in ("llama", "mistral"):
        values |= {"vocab_size": get("vocab_size"), "rope.dimension_count": get("head_dim") or hidden // heads}
    if family in ("phi3", "gpt_neox"):
        values["rope.dimension_count"] = int(rope.get("partial_rotary_factor", 1.0) * (hidden // heads))
    if family == "phi3":
        values["rope.scaling.original_context_length"] = get("original_max_position_embeddings")
    if family in ("gemma2", "gemma3_text", "phi3"):
        values["attention.sliding_window"] = get("sliding_window") or 0
        values["attn_logit_softcapping"] = get("attn_logit_softcapping")
        values["final_logit_softcapping"] = get("final_logit_softcapping")
    if rope.get("rope_type") in ("linear", "yarn"):
        values |= {
            "rope.scaling.type": rope["rope_type"],
            "rope.scaling.factor": float(rope["factor"]),
            "rope.scaling.original_context_length": rope.get("original_max_position_embeddings"),
            "rope.scaling.yarn_beta_fast": rope.get("beta_fast"),
        }
    return {key: value for key, value in values.items() if value is not None}


def extra_tensors(config: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, Q]]:
    """Rotary divisors, which the converter writes as tensors."""
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_type") == "longrope":
        return {
            f"rope_factors_{which}.weight": (np.array(rope[f"{which}_factor"], np.float32), Q.F32)
            for which in ("long", "short")
        }
    if rope.get("rope_type") == "llama3":
        return {"rope_freqs.weight": (llama3_divisors(rope, config["head_dim"]), Q.F32)}
    return {}


def llama3_divisors(rope: Mapping[str, Any], head_dim: int) -> np.ndarray:
    """One divisor for each frequency, as LlamaModel.generate_extra_tensors computes them."""
    low, high, length = rope["low_freq_factor"], rope["high_freq_factor"], rope["original_max_position_embeddings"]
    found = []
    for i in range(0, head_dim, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (i / head_dim)
        share = min(1.0, max(0.0, (length / wave - low) / (high - low)))
        found.append(1 / ((1 - share) / rope["factor"] + share))
    return np.array(found, np.float32)


def raw_header(
    values: bytes = b"", infos: bytes = b"", *, tensors: int = 0, keys: int = 0, version: int = 3, data: bytes = b""
) -> bytes:
    """A header from its parts, right or wrong, padded to 32 bytes, and data."""
    head = b"GGUF" + struct.pack("<IQQ", version, tensors, keys) + values + infos
    return head + bytes(-len(head) % 32) + data


def text(value: str | bytes, length: int | None = None) -> bytes:
    """A text with its length before it, or with another."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data) if length is None else length) + data


def info(name: str, dims: tuple[int, ...], kind: int = 0, offset: int = 0, ndim: int | None = None) -> bytes:
    """A tensor entry; `dims` in the order of the file, innermost first."""
    size = struct.pack("<I", len(dims) if ndim is None else ndim) + struct.pack(f"<{len(dims)}Q", *dims)
    return text(name) + size + struct.pack("<IQ", kind, offset)
