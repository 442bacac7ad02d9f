"""What a family's tensors are called and how large they are under a configuration."""

from __future__ import annotations

from collections.abc import Iterable

from diag.checkpoints.config import ModelConfig
from diag.checkpoints.families.base import Family


def is_tied(family: Family, config: ModelConfig) -> bool:
    """Whether the head is declared to be the embedding; the family's default where config.json is silent."""
    flag = config.tie_word_embeddings
    return family.defaults.tie_word_embeddings if flag is None else flag


def dimension_sizes(config: ModelConfig) -> dict[str, int]:
    """How many elements each dimension has that `Role.shape` names."""
    return {
        "hidden": config.hidden_size,
        "q": config.num_heads * config.head_dim,
        "kv": config.num_kv_heads * config.head_dim,
        "qkv": (config.num_heads + 2 * config.num_kv_heads) * config.head_dim,
        "head_dim": config.head_dim,
        "gate_up": 2 * config.intermediate_size,
        "positions": config.max_position_embeddings,
        "intermediate": config.intermediate_size,
        "vocab": config.vocab_size,
    }


def expected_shape(family: Family, config: ModelConfig, role: str) -> tuple[int, ...]:
    """The shape config.json asks for, [out, in] for matrices."""
    sizes = dimension_sizes(config)
    return tuple(sizes[d] for d in family.roles[role].shape)


def expected_tensors(family: Family, config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor the file must hold; without the head when it is declared tied."""
    expected: dict[str, tuple[int, ...]] = {}
    for key, role in family.roles.items():
        if (key == "head" and is_tied(family, config)) or (role.if_attention_bias and not config.attention_bias):
            continue
        layers: Iterable[int | None] = range(config.num_layers) if role.per_layer else (None,)
        shape = expected_shape(family, config, key)
        expected |= {role.tensor(layer): shape for layer in layers}
    return expected
