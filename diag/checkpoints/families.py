"""Model families as a table: which tensors a family has, what shape each one takes, which side faces the stream.

A new family is one row in FAMILIES. A *role* is what a tensor does ("q", "down", "attention_norm"); its pattern
gives the name, with {i} for the layer. Sources: the modelling code of transformers for Qwen2, Llama, Mistral, Qwen3.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from diag.checkpoints.config import Defaults, ModelConfig

if TYPE_CHECKING:
    from diag.checkpoints.reader import Checkpoint

Side = Literal["columns", "rows"]
Kind = Literal["matrix", "norm", "bias"]


@dataclass(frozen=True)
class Role:
    """One kind of tensor. `shape` names dimensions of `dimensions`; matrices are [out, in].

    `side` is the side that faces the residual stream: the columns of whatever reads it (and of the embedding and
    the head, which are [vocabulary, hidden]), the rows of whatever writes it. `if_attention_bias`: the tensor is
    there only when config.json says `attention_bias: true`.
    """

    pattern: str
    shape: tuple[str, ...]
    kind: Kind = "matrix"
    side: Side | None = None
    if_attention_bias: bool = False

    @property
    def per_layer(self) -> bool:
        """Whether every layer has one."""
        return "{i}" in self.pattern

    def tensor(self, layer: int | None = None) -> str:
        """The tensor's name in `layer`."""
        return self.pattern.replace("{i}", str(layer))


@dataclass(frozen=True, eq=False)
class Family:
    """A model family. `norm_offset` is 1 where the norm multiplies by 1 + w. `markers` are roles whose tensors only
    this family has: found in a file stamped as another family, they tell what the file really is."""

    name: str
    architectures: tuple[str, ...]
    model_types: tuple[str, ...]
    roles: dict[str, Role]
    markers: tuple[str, ...] = ()
    norm_offset: Literal[0, 1] = 0
    defaults: Defaults = field(default_factory=Defaults)

    @cached_property
    def _patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        return [
            (key, re.compile(re.escape(role.pattern).replace(r"\{i\}", "(0|[1-9][0-9]{0,5})")))
            for key, role in self.roles.items()
        ]

    def role_of(self, name: str) -> tuple[str, int | None] | None:
        """The role and layer of a tensor name, or None for a name this family does not know."""
        for key, pattern in self._patterns:
            if match := pattern.fullmatch(name):
                return key, int(match[1]) if match.groups() else None
        return None


_ATTENTION, _MLP = "model.layers.{i}.self_attn.", "model.layers.{i}.mlp."
_BASE = {
    "embedding": Role("model.embed_tokens.weight", ("vocab", "hidden"), side="columns"),
    "attention_norm": Role("model.layers.{i}.input_layernorm.weight", ("hidden",), "norm"),
    "q": Role(_ATTENTION + "q_proj.weight", ("q", "hidden"), side="columns"),
    "k": Role(_ATTENTION + "k_proj.weight", ("kv", "hidden"), side="columns"),
    "v": Role(_ATTENTION + "v_proj.weight", ("kv", "hidden"), side="columns"),
    "o": Role(_ATTENTION + "o_proj.weight", ("hidden", "q"), side="rows"),
    "mlp_norm": Role("model.layers.{i}.post_attention_layernorm.weight", ("hidden",), "norm"),
    "gate": Role(_MLP + "gate_proj.weight", ("intermediate", "hidden"), side="columns"),
    "up": Role(_MLP + "up_proj.weight", ("intermediate", "hidden"), side="columns"),
    "down": Role(_MLP + "down_proj.weight", ("hidden", "intermediate"), side="rows"),
    "final_norm": Role("model.norm.weight", ("hidden",), "norm"),
    "head": Role("lm_head.weight", ("vocab", "hidden"), side="columns"),
}


def _biases(letters: str, *, if_attention_bias: bool) -> dict[str, Role]:
    dims = {"q": "q", "k": "kv", "v": "kv", "o": "hidden"}
    return {
        f"{c}_bias": Role(f"{_ATTENTION}{c}_proj.bias", (dims[c],), "bias", if_attention_bias=if_attention_bias)
        for c in letters
    }


_QK_NORMS = {f"{c}_norm": Role(f"{_ATTENTION}{c}_norm.weight", ("head_dim",), "norm") for c in "qk"}

FAMILIES: tuple[Family, ...] = (
    Family(
        "qwen2",
        ("Qwen2ForCausalLM",),
        ("qwen2",),
        _BASE | _biases("qkv", if_attention_bias=False),
        markers=("q_bias",),
        defaults=Defaults(max_position_embeddings=32_768),
    ),
    Family("llama", ("LlamaForCausalLM",), ("llama",), _BASE | _biases("qkvo", if_attention_bias=True)),
    Family(
        "mistral",
        ("MistralForCausalLM",),
        ("mistral",),
        _BASE,
        defaults=Defaults(max_position_embeddings=131_072),
    ),
    Family(
        "qwen3",
        ("Qwen3ForCausalLM",),
        ("qwen3",),
        _BASE | _QK_NORMS | _biases("qkvo", if_attention_bias=True),
        markers=("q_norm", "k_norm"),
        defaults=Defaults(max_position_embeddings=32_768, head_dim=128),
    ),
)


def known_architectures() -> tuple[str, ...]:
    """Every architecture the table knows, for messages."""
    return tuple(a for f in FAMILIES for a in f.architectures)


def declared_family(architecture: str | None, model_type: str | None) -> Family | None:
    """The family that config.json declares; the architecture outranks the model type."""
    for family in FAMILIES:
        if architecture in family.architectures:
            return family
    return next((f for f in FAMILIES if model_type in f.model_types), None)


def family_of(config: ModelConfig, names: Collection[str]) -> Family | None:
    """The family whose forward pass these tensors need; None for an architecture the table does not know.

    The declared family, unless the file holds tensors that it has no place for and another family requires:
    then that one (trainers stamped Qwen2 files as LlamaForCausalLM for months). `contradiction` says so in words.
    """
    family = declared_family(config.declared_architecture, config.model_type)
    if family is None:
        return None
    known = {key for key, role in family.roles.items() if config.attention_bias or not role.if_attention_bias}
    for other in reversed(FAMILIES):  # q_norm (qwen3) says more than q_proj.bias (qwen2)
        if other is not family and any(m not in known and _holds(other, m, config, names) for m in other.markers):
            return other
    return family


def _holds(family: Family, marker: str, config: ModelConfig, names: Collection[str]) -> bool:
    """Whether any layer has the marker. Looked up layer by layer: a hostile header can list a million names."""
    for layer in range(config.num_layers):
        name = family.roles[marker].tensor(layer)
        if name in names:
            # A bias on the output projection too is a Llama with attention_bias, not a Qwen2.
            return "o_bias" in family.roles or name.replace("q_proj", "o_proj") not in names
    return False


def contradiction(config: ModelConfig, names: Collection[str]) -> str | None:
    """One sentence when what config.json declares and what the tensors say do not agree, else None."""
    by_architecture = declared_family(config.declared_architecture, None)
    by_type = declared_family(None, config.model_type)
    found = family_of(config, names)
    stamped = by_architecture or by_type
    if found and stamped and found is not stamped:
        held = ", ".join(found.roles[m].pattern.replace("{i}", "*") for m in found.markers)
        return f"config.json declares {stamped.name}, but the file holds {held}: the tensors are {found.name}."
    if by_architecture and by_type and by_architecture is not by_type:
        return (
            f"config.json declares the architecture {config.declared_architecture} and the model type "
            f"{config.model_type}, which belong to different families."
        )
    return None


def is_tied(family: Family, config: ModelConfig) -> bool:
    """Whether the head is declared to be the embedding; the family's default where config.json is silent."""
    flag = config.tie_word_embeddings
    return family.defaults.tie_word_embeddings if flag is None else flag


def dimensions(config: ModelConfig) -> dict[str, int]:
    """The named dimensions that `Role.shape` uses, in elements."""
    return {
        "hidden": config.hidden_size,
        "q": config.num_heads * config.head_dim,
        "kv": config.num_kv_heads * config.head_dim,
        "head_dim": config.head_dim,
        "intermediate": config.intermediate_size,
        "vocab": config.vocab_size,
    }


def expected_shape(family: Family, config: ModelConfig, role: str) -> tuple[int, ...]:
    """The shape config.json asks for, [out, in] for matrices."""
    dims = dimensions(config)
    return tuple(dims[d] for d in family.roles[role].shape)


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


def projections(checkpoint: Checkpoint, role: str) -> list[str]:
    """Names of the tensors with this role that the file holds, by layer; empty for a role the family lacks."""
    family = checkpoint.family
    if family is None or role not in family.roles:
        return []
    found = family.roles[role]
    layers: Iterable[int | None] = range(checkpoint.config.num_layers) if found.per_layer else (None,)
    return [name for layer in layers if (name := found.tensor(layer)) in checkpoint.tensors]
