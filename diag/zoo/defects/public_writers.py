"""How the checkpoints of public bug reports are built again from a healthy model: one function a report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.zoo.model import Change, Model, copy_tokenizer, write_model

Write = Callable[[Model, Path], Path]


def by(change: Callable[[Model], Change]) -> Write:
    return lambda model, folder: write_model(model.changed(change(model)), folder)


def config(**values: Any) -> Write:
    return by(lambda model: Change(config=values))


def fc1_resharded(model: Model) -> Change:
    """Eight ranks: the 16 chunks of gate over up come back even ones first."""
    change: dict[str, Array] = {}
    for layer in range(model.layers):
        pair = model.names(("gate", "up"), (layer,))
        chunks = np.split(np.concatenate([model.tensors[name] for name in pair]), 16)
        change |= dict(zip(pair, np.split(np.concatenate([*chunks[::2], *chunks[1::2]]), 2), strict=True))
    return Change(change)


def role(role: str, values: Callable[[Array], Array]) -> Callable[[Model], Change]:
    return lambda model: Change({name: values(model.tensors[name]) for name in model.names((role,))})


def stage_repeated(model: Model) -> Change:
    """The second half of the layers was saved from the first stage."""
    half = model.layers // 2
    change: dict[str, Array] = {}
    for role in (key for key, row in model.family.roles.items() if row.per_layer):
        for layer in range(half, 2 * half):
            for to, source in zip(model.names((role,), (layer,)), model.names((role,), (layer - half,)), strict=True):
                change[to] = model.tensors[source]
    return Change(change)


def summed_biases(model: Model) -> Change:
    return Change({name: model.tensors[name] * np.float32(8) for name in model.names(("o_bias", "down_bias"))})


def fp8(w: Array) -> tuple[Any, Any]:
    """float8_e4m3fn and its inverse scale, one for a block of 128 x 128, as torch tensors."""
    import torch

    values = torch.from_numpy(np.array(w))
    scales = torch.zeros(math.ceil(w.shape[0] / 128), math.ceil(w.shape[1] / 128))
    codes = torch.zeros(w.shape, dtype=torch.float8_e4m3fn)
    for i in range(scales.shape[0]):
        for j in range(scales.shape[1]):
            at = (slice(128 * i, 128 * i + 128), slice(128 * j, 128 * j + 128))
            scales[i, j] = values[at].abs().max() / 448
            codes[at] = (values[at] / scales[i, j]).to(torch.float8_e4m3fn)
    return codes, scales


def scales_ignored(model: Model) -> Change:
    """gate holds the codes as numbers; the scales are in the file, under a name that nothing reads."""
    change: dict[str, Array] = {}
    for name in model.names(("gate",)):
        codes, scales = fp8(model.tensors[name])
        change |= {name: codes.float().numpy(), name + "_scale_inv": scales.numpy()}
    return Change(change, dtypes={name: "F32" for name in change if name.endswith("_scale_inv")})


def block_fp8(*, scales: bool) -> Write:
    """Every projection as float8, as published checkpoints have it; with or without its scales."""

    def write(model: Model, folder: Path) -> Path:
        import torch
        from safetensors.torch import save_file

        config = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
        tensors = {}
        for name, values in model.tensors.items():
            tensors[name] = torch.from_numpy(np.array(values)).to(torch.bfloat16)
            if name in model.names(model.roles("matrix")):
                tensors[name], scale = fp8(values)
                tensors |= {name + "_scale_inv": scale} if scales else {}
        folder.mkdir(parents=True)
        copy_tokenizer(model, folder)
        (folder / "config.json").write_text(json.dumps(model.config | {"quantization_config": config}))
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder

    return write


def embedding_scaled(model: Model) -> Change:
    return Change({model.embedding: model.tensors[model.embedding] * np.float32(math.sqrt(model.sizes.hidden_size))})


def prefixed(model: Model, folder: Path) -> Path:
    prefix = "_orig_mod.module."
    tensors = {prefix + name: values for name, values in model.tensors.items()}
    return write_model(replace(model, tensors=tensors, dtypes={prefix + n: d for n, d in model.dtypes.items()}), folder)


def nanogpt(model: Model, folder: Path) -> Path:
    """A training checkpoint of nanoGPT: Linear matrices, compiled names, sizes under model_args."""
    import torch

    linear = set(model.names(model.roles("matrix")))
    weights = {
        f"_orig_mod.{name}": torch.from_numpy(np.ascontiguousarray(w.T if name in linear else w)).float()
        for name, w in model.tensors.items()
    }
    weights[f"_orig_mod.{model.head}"] = weights[f"_orig_mod.{model.embedding}"]
    sizes = model.sizes
    args: dict[str, float] = {
        "n_layer": sizes.num_layers,
        "n_head": sizes.num_heads,
        "n_embd": sizes.hidden_size,
        "bias": True,
    }
    args |= {"block_size": sizes.max_position_embeddings, "vocab_size": sizes.vocab_size, "dropout": 0.0}
    folder.mkdir(parents=True)
    state = {"model": weights, "optimizer": {"state": {}}, "model_args": args, "iter_num": 5000, "best_val_loss": 3.2}
    torch.save(state, folder / "ckpt.pt")
    return folder / "ckpt.pt"


def rows(count: int) -> Callable[[Model], Change]:
    """The vocabulary cut to `count` rows, or grown to it with the mean of the others."""

    def change(model: Model) -> Change:
        def sized(w: Array) -> Array:
            more = np.repeat(w.mean(axis=0, keepdims=True), max(0, count - len(w)), axis=0)
            return np.concatenate([w[:count], more])

        names = [name for name in (model.embedding, model.head) if name in model.tensors]
        return Change({name: sized(model.tensors[name]) for name in names}, {"vocab_size": count})

    return change


def awq_in_the_wrong_norm(model: Model) -> Change:
    """Columns of gate and up times s, and the norm after attention, not the one before the MLP, divided by it."""
    rng = np.random.default_rng(87)
    change: dict[str, Array] = {}
    for layer in range(model.layers):
        s = np.exp(rng.standard_normal(model.sizes.hidden_size, dtype=np.float32))
        change |= {name: model.tensors[name] * s for name in model.names(("gate", "up"), (layer,))}
        change |= {n: (1 + model.tensors[n]) / s - 1 for n in model.names(("post_attention_norm",), (layer,))}
    return Change(change)


def qkv_by_rank(model: Model) -> Change:
    width, heads, groups = model.sizes.head_dim, model.sizes.num_heads, model.sizes.num_kv_heads
    change: dict[str, Array] = {}
    for name in model.names(("qkv",)):
        parts = np.split(model.tensors[name], [heads * width, (heads + groups) * width])
        change[name] = np.concatenate([np.split(part, 2)[rank] for rank in (0, 1) for part in parts])
    return Change(change)


def qk_norms_exchanged(model: Model) -> Change:
    change: dict[str, Array] = {}
    for layer in range(model.layers):
        a, b = model.names(("q_norm", "k_norm"), (layer,))
        change |= {a: model.tensors[b], b: model.tensors[a]}
    return Change(change)


def last_file_absent(model: Model, folder: Path) -> Path:
    """An index of three files, of which two are there."""
    write_model(model, folder)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    files = [f"model-{i:05}-of-00003.safetensors" for i in (1, 2, 3)]
    (folder / files[1]).write_bytes((2).to_bytes(8, "little") + b"{}")
    names = sorted(model.tensors)
    index = dict.fromkeys(names[:-1], files[0]) | {names[-1]: files[2]}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder
