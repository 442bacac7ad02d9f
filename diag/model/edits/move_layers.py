"""Layers are put into another order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from diag.model.edits.base import Edit, Now, Provenance, TensorSource

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MoveLayers(Edit):
    """Each tensor of `moved`, (target, source), becomes what the source is before any of them moves."""

    moved: tuple[tuple[str, str], ...]
    order = 0
    provenance = Provenance.SAME_CHECKPOINT

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(target for target, _ in self.moved)

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(source for _, source in self.moved)

    def only(self, names: Collection[str]) -> Self:
        return replace(self, moved=tuple(pair for pair in self.moved if pair[0] in names))

    @property
    def sentence(self) -> str:
        target, source = self.moved[0]
        return f"{len(self.moved)} tensors change places: {target} becomes {source}, and so on."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        for target, source in self.moved:
            yield target, now(source)
