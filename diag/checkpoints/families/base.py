"""What a family is. A *role* is what a tensor does ("q", "down", "attention_norm"); its pattern gives the name, with
{i} for the layer. A new family is one row in table.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from diag.checkpoints.config import Defaults

Side = Literal["columns", "rows"]
Kind = Literal["matrix", "norm", "bias"]
ROTARY = ("rope_theta", "rope_scaling", "rope_parameters", "partial_rotary_factor")


@dataclass(frozen=True)
class Role:
    """One kind of tensor. `shape` names dimensions of `dimension_sizes`; matrices are [out, in], but GPT-2's [in, out].

    `side` is the side of the stored matrix that faces the residual stream: of an [out, in] matrix the columns of
    whatever reads it (and of the embedding and the head, which are [vocabulary, hidden]), the rows of whatever writes
    it. `if_attention_bias`: the tensor is there only when config.json says `attention_bias: true`.
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
    """A model family, built by transformers under the first of `model_types`.

    told_by: roles of which some layer must have every one for the names alone to mean this family, and told_without:
    patterns of names that it must not have; a family without told_by is only ever declared. Of two families that the
    names could mean, the later row of the table is tried first.
    markers: roles that the families it is mistaken for lack: a file that holds them is of this family, even when it is
    stamped as another. norm_offset: 1 where the norm multiplies by 1 + w. updates: the submodules of a
    block whose outputs are added to the residual stream, attention's and the MLP's. grouped: whether key-value heads
    can be fewer than heads. renamed: keys of config.json that transformers' class spells otherwise; unread: those that
    it passes over. settings: keys beyond the sizes that change its forward pass (`reads`). attention: which of
    transformers' kernels computes it faithfully. published_theta: rotary bases of its published models (their
    config.json on the Hugging Face hub); () where they were not collected. begins: whether its published models were
    trained on texts that all begin with the config's bos_token_id, and predict badly without.
    """

    name: str
    architectures: tuple[str, ...]
    model_types: tuple[str, ...]
    roles: dict[str, Role]
    told_by: tuple[str, ...] = ()
    told_without: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    norm_offset: Literal[0, 1] = 0
    defaults: Defaults = field(default_factory=Defaults)
    updates: tuple[str, str] = ("self_attn", "mlp")
    grouped: bool = True
    renamed: dict[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    attention: Literal["sdpa", "eager"] = "sdpa"
    published_theta: tuple[float, ...] = ()
    begins: bool = False

    @cached_property
    def reads(self) -> frozenset[str]:
        """Keys of config.json that reach transformers' class as the file states them. The sizes are not among them:
        the class gets those as they were understood. Any other key could build what no tensor of the file asks for."""
        rotary = () if self.defaults.rope_theta is None else ROTARY
        return frozenset((*rotary, *self.settings, "initializer_range"))

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
