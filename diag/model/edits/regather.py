"""Rows of tensors that belong together are put into another order: fused matrices, gate and up, two norms."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from diag.model.edits.base import Edit, Now, Provenance, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Regather(Edit):
    """In each group the tensors are laid end to end along their first dimension, cut into pieces of `sizes` rows, and
    joined again in `order`: piece order[i] of the file comes i-th. Each tensor keeps its own number of rows."""

    groups: tuple[tuple[str, ...], ...]
    sizes: tuple[int, ...]
    order_of_pieces: tuple[int, ...]
    order = 0
    provenance = Provenance.SAME_CHECKPOINT

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(name for group in self.groups for name in group)

    def only(self, names: Collection[str]) -> Self:
        return replace(self, groups=tuple(group for group in self.groups if not set(group).isdisjoint(names)))

    @property
    def sentence(self) -> str:
        return f"The rows of {named(self.targets)} are taken in pieces, {len(self.sizes)} a layer, in another order."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        starts = [0, *accumulate(self.sizes)]
        for group in self.groups:
            values = [now(name) for name in group]
            like = values[0]
            whole, joined = (like.new_empty((starts[-1], *like.shape[1:])) for _ in range(2))
            ends = list(accumulate(value.shape[0] for value in values))
            for value, end in zip(values, ends, strict=True):
                whole[end - value.shape[0] : end] = value
            at = 0
            for number in self.order_of_pieces:
                joined[at : at + self.sizes[number]] = whole[starts[number] : starts[number + 1]]
                at += self.sizes[number]
            for name, value, end in zip(group, values, ends, strict=True):
                yield name, joined[end - value.shape[0] : end]
