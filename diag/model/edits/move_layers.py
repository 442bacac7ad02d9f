"""Layers are put into another order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    def sentence(self) -> str:
        target, source = self.moved[0]
        return f"{len(self.moved)} tensors change places: {target} becomes {source}, and so on."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        before = {source: now(source) for _, source in self.moved}
        for target, source in self.moved:
            yield target, before[source]
