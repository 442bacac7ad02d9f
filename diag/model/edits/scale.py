"""Tensors are multiplied by a constant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Named, Now, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Scale(Named):
    """Each named tensor is multiplied by the constant `by`."""

    by: float
    order = 0

    @property
    def sentence(self) -> str:
        return f"Every value of {named(self.names)} is multiplied by {self.by:.6g}."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        for name in self.names:
            yield name, now(name) * self.by
