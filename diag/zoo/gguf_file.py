"""A model as a GGUF file of blocks, by the tables that read one. Needs the package gguf."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diag.checkpoints.config import stated
from diag.checkpoints.dtypes import Array
from diag.checkpoints.formats.gguf_names import ARCHITECTURES, tensor_names
from diag.checkpoints.ggml import gguf_package
from diag.zoo.model import Model, copy_tokenizer

# Of the architectures whose files say everything, by family. llama's exporter pairs the rotary rows of q and k.
NAMES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "phi3": "phi3"}
PAIRED = {"attn_q": "num_heads", "attn_k": "num_kv_heads"}


def writes(model: Model) -> bool:
    """Whether this family is written, and its matrices are whole blocks of 32."""
    matrices = (model.tensors[name] for name in model.names(model.roles("matrix")))
    return model.family.name in NAMES and all(w.shape[-1] % 32 == 0 for w in matrices)


def write_gguf(model: Model, folder: Path, kind: str) -> Path:
    """`folder`/model.gguf with every projection in blocks of `kind`, everything else in float32; returns its path."""
    gguf = gguf_package()
    name = NAMES[model.family.name]
    folder.mkdir(parents=True)
    copy_tokenizer(model, folder)
    path = folder / "model.gguf"
    writer = gguf.GGUFWriter(path, name)
    for key, ours in ARCHITECTURES[name].keys.items():
        value = model.sizes.head_dim if ours == "head_dim" else stated(model.config, ours)
        if isinstance(value, int | float):
            (writer.add_uint32 if isinstance(value, int) else writer.add_float32)(f"{name}.{key}", value)
    blocks = gguf.GGMLQuantizationType[kind]
    stems = {stem: short for short, stem in tensor_names(name).items()}
    projections = set(model.names(model.roles("matrix")))
    for tensor, values in model.tensors.items():
        role, layer = model.family.role_of(tensor) or ("", None)
        stem, _, suffix = model.family.roles[role].pattern.rpartition(".")
        short = stems[stem]
        where = f"{short}.{suffix}" if layer is None else f"blk.{layer}.{short}.{suffix}"
        stored = _paired(values, getattr(model.sizes, PAIRED[short])) if name == "llama" and short in PAIRED else values
        if tensor in projections:
            writer.add_tensor(where, gguf.quants.quantize(stored, blocks), raw_dtype=blocks)
        else:
            writer.add_tensor(where, np.ascontiguousarray(stored))
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    return path


def _paired(w: Array, heads: int) -> Array:
    """Rows of each head from halves to neighbours."""
    split = w.reshape(heads, 2, -1, *w.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(w.shape))
