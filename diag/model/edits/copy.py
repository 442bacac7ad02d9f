"""One tensor becomes a copy of another of the same checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, Now, Provenance, TensorSource

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Copy(Edit):
    """`target` becomes a copy of `source`, both of this checkpoint."""

    target: str
    source: str
    order = 2
    provenance = Provenance.SAME_CHECKPOINT

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,)

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def sentence(self) -> str:
        return f"{self.target} becomes a copy of {self.source}."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        yield self.target, now(self.source).clone()
