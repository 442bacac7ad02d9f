"""Defects of tensors that none of H4A to H4D claims: biases, rotary pairs, fused order, type tags, copied layers."""

from __future__ import annotations

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.zoo.defects.base import Defect, Generator, Plant, Values, each, gaussian, pick, some, zeros
from diag.zoo.model import Change, Model


def _biases(values: Values, *, of_writers: bool = False) -> Plant:
    """The biases of one kind, or of all, of matrices and not of norms."""

    def plant(rng: Generator, model: Model) -> Change | None:
        kinds = tuple(r for r in model.roles("bias") if "norm" not in r)
        kinds = tuple(r for r in kinds if r in ("o_bias", "down_bias")) if of_writers else kinds
        if not kinds:
            return None
        return each(rng, model, model.names(some(rng, kinds) if rng.random() < 0.5 else kinds), values)

    return plant


def _paired(w: Array, heads: int) -> Array:
    """Rows of a head from halves to neighbours: pair i of rows (i, i + half) becomes (2 i, 2 i + 1)."""
    split = w.reshape(heads, 2, -1, *w.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(w.shape))


def _rotary_pairs(rng: Generator, model: Model) -> Change | None:
    """q and k permuted for the other rotary pairing, with their biases and norms."""
    heads = {"q": model.sizes.num_heads, "k": model.sizes.num_kv_heads}
    change = {
        name: _paired(model.tensors[name], 1 if "norm" in role else count)
        for letter, count in heads.items()
        for role in (letter, f"{letter}_bias", f"{letter}_norm")
        for name in model.names((role,))
    }
    return Change(change) if model.names(("q",)) else None


def _gate_and_up_exchanged(rng: Generator, model: Model) -> Change | None:
    change: dict[str, Array | None] = {}
    for layer in range(model.layers):
        if len(pair := model.names(("gate", "up"), (layer,))) == 2:
            change |= {pair[0]: model.tensors[pair[1]], pair[1]: model.tensors[pair[0]]}
        for name in model.names(("gate_up",), (layer,)):
            change[name] = np.concatenate(np.split(model.tensors[name], 2)[::-1])
    return Change(change) if change else None


def _chunks_of_gate_and_up(rng: Generator, model: Model) -> Change | None:
    """gate over up, put together again in the wrong order of its chunks."""
    ranks = pick(rng, (2, 4, 8))
    change: dict[str, Array | None] = {}
    for layer in range(model.layers):
        pair = model.names(("gate", "up"), (layer,))
        fused = model.names(("gate_up",), (layer,))
        if len(pair) != 2 and not fused:
            return None
        chunks = np.array_split(np.concatenate([model.tensors[n] for n in (pair or fused)]), 2 * ranks)
        mixed = np.concatenate([*chunks[::2], *chunks[1::2]])
        change |= dict(zip(pair or fused, np.split(mixed, len(pair or fused)), strict=True))
    return Change(change)


def _fused_by_rank(rng: Generator, model: Model) -> Change | None:
    """qkv gathered rank by rank: q0 k0 v0 q1 k1 v1 in place of q k v."""
    if model.family.name != "phi3" or model.sizes.num_kv_heads % 2:
        return None
    width, heads, groups = model.sizes.head_dim, model.sizes.num_heads, model.sizes.num_kv_heads
    change: dict[str, Array | None] = {}
    for name in model.names(("qkv",)):
        parts = np.split(model.tensors[name], [heads * width, (heads + groups) * width])
        change[name] = np.concatenate([np.split(part, 2)[rank] for rank in (0, 1) for part in parts])
    return Change(change)


def _retagged(rng: Generator, model: Model) -> Change | None:
    """The bytes of bfloat16 under the tag of float16, or the reverse."""
    names = model.names((pick(rng, model.roles("matrix")),))
    if any(model.dtypes[name] != "BF16" for name in names):
        return None
    change: dict[str, Array | None] = {}
    for name in names:  # float16 of the same bits; their values are exact in float32
        change[name] = (model.tensors[name].view("<u4") >> 16).astype("<u2").view("<f2").astype(np.float32)
    return Change(change, dtypes=dict.fromkeys(names, "F16"))


def _scale_lost(rng: Generator, model: Model) -> Change | None:
    """The numbers of an 8-bit type without their scale, one scale for each matrix: the largest is 448."""
    names = model.names((pick(rng, model.roles("matrix")),))
    return Change({n: (w := model.tensors[n]) * np.float32(448 / max(float(np.abs(w).max()), 1e-9)) for n in names})


def _of_layer(model: Model, to: int, source: int) -> dict[str, Array | None]:
    """Every tensor of a layer, with the values of another one."""
    roles = (key for key, role in model.family.roles.items() if role.per_layer)
    pairs = ((model.names((role,), (to,)), model.names((role,), (source,))) for role in roles)
    return {a[0]: model.tensors[b[0]] for a, b in pairs if a and b}


def _layers_copied(rng: Generator, model: Model) -> Change | None:
    """The second half of the layers is the first half again."""
    half = model.layers // 2
    change: dict[str, Array | None] = {}
    for layer in range(half, 2 * half):
        change |= _of_layer(model, layer, layer - half)
    return Change(change)


def _layer_copied(rng: Generator, model: Model) -> Change | None:
    a, b = some(rng, range(model.layers), 2, 2)
    return Change(_of_layer(model, b, a) if rng.random() < 0.5 else _of_layer(model, a, b))


def _layers_misnumbered(rng: Generator, model: Model) -> Change | None:
    """Every layer stands one place further down, and the last one first."""
    change: dict[str, Array | None] = {}
    for layer in range(model.layers):
        change |= _of_layer(model, layer, (layer - 1) % model.layers)
    return Change(change)


def _never_trained(rng: Generator, model: Model) -> Change | None:
    """A role in all layers, or a layer, as it was initialised."""
    roles = model.roles("matrix")
    names = (
        model.names((pick(rng, roles),))
        if rng.random() < 0.5
        else model.names(roles, (int(rng.integers(model.layers)),))
    )
    return each(rng, model, names, gaussian(0.02))


def _left_out(rng: Generator, model: Model) -> Change | None:
    """A role, or the matrices of a layer, is not in the file."""
    roles = model.roles("matrix")
    names = (
        model.names((pick(rng, roles),))
        if rng.random() < 0.5
        else model.names(roles, (int(rng.integers(model.layers)),))
    )
    return Change(dict.fromkeys(names))


def _embedding_scaled(rng: Generator, model: Model) -> Change | None:
    """The square root of the width folded into an embedding that is multiplied by it anyway."""
    return Change({model.embedding: model.tensors[model.embedding] * np.float32(model.sizes.hidden_size**0.5)})


IN_TENSORS = (
    Defect("biases_zero", "H4E", "aprender #1604", _biases(zeros)),
    Defect("biases_summed", "H4E", "gpt-neox #1220", _biases(lambda rng, b: b * np.float32(8), of_writers=True)),
    Defect("rotary_pairs", "H4F", "TinyLlama #24", _rotary_pairs, True),
    Defect("gate_and_up_exchanged", "H4B", "mlx-lm #767", _gate_and_up_exchanged, True, ("H4I",)),
    Defect("chunks_of_gate_and_up", "H4B", "ROCm/Megatron-LM #63", _chunks_of_gate_and_up, True),
    Defect("fused_by_rank", "H4B", "nnsight #719", _fused_by_rank, True),
    Defect("tag_of_another_type", "H4G", "aprender #369", _retagged, True),
    Defect("scale_lost", "H4G", "unsloth #6200", _scale_lost),
    Defect("layers_copied", "H4H", "transformers #24381", _layers_copied),
    Defect("layer_copied", "H4H", "variant of transformers #24381", _layer_copied),
    Defect("layers_misnumbered", "H4H", "gpt-neox #971", _layers_misnumbered),
    Defect("never_trained", "H4H", "torchtitan #2053", _never_trained),
    Defect("left_out", "H4H", "vLLM #10327", _left_out),
    Defect("embedding_scaled", "H4A", "mattn/tensai #248", _embedding_scaled, True, ("H4I", "H4G")),
)
