"""Query heads meet the key-value heads in turn (tiled), where the model gives each a group of its own (repeated)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from diag.model.edits.base import Edit, Now, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TileHeads(Edit):
    """Query head j meets key-value head j mod `groups` instead of j // (heads / groups). Done by moving the heads: the
    rows of `of_queries` (matrices and biases) and the columns of `of_output`."""

    of_queries: tuple[str, ...]
    of_output: tuple[str, ...]
    heads: int
    groups: int
    order = 0

    @property
    def targets(self) -> tuple[str, ...]:
        return (*self.of_queries, *self.of_output)

    def only(self, names: Collection[str]) -> Self:
        queries, output = (tuple(n for n in own if n in names) for own in (self.of_queries, self.of_output))
        return replace(self, of_queries=queries, of_output=output)

    @property
    def sentence(self) -> str:
        return f"Key-value heads are tiled over the query heads, not repeated: {named(self.of_queries)}."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        each = self.heads // self.groups
        moved = [(slot % each) * self.groups + slot // each for slot in range(self.heads)]  # the head in each slot
        for name in self.of_queries:
            value = now(name)
            yield name, value.view(self.heads, -1, *value.shape[1:])[moved].view(value.shape)
        for name in self.of_output:
            value = now(name)
            yield name, value.view(len(value), self.heads, -1)[:, moved].reshape(value.shape)
