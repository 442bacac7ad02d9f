"""A constant is added to tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Named, Now, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Shift(Named):
    """The constant `by` is added to each named tensor."""

    by: float
    order = 0

    @property
    def sentence(self) -> str:
        verb = "subtracted from" if self.by < 0 else "added to"
        return f"{abs(self.by):g} is {verb} every value of {named(self.names)}."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        for name in self.names:
            yield name, now(name) + self.by
