"""Rows of Q and K heads are put into the other order of rotary pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diag.model.edits.base import Named, Now, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PairRows(Named):
    """In each named tensor, the first `rotated` rows of every head that begins at one of `starts` are put from adjacent
    pairs (2i, 2i + 1) to split halves (i, i + half), or the other way round."""

    starts: tuple[int, ...]
    rotated: int
    to: Literal["halves", "adjacent"]
    order = 0

    @property
    def sentence(self) -> str:
        pairs = "from adjacent rotary pairs to split halves"
        pairs = pairs if self.to == "halves" else "from split halves to adjacent rotary pairs"
        return f"Rows of {named(self.names)}, head by head, are put {pairs}."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        half = range(self.rotated // 2)
        if self.to == "halves":
            order = [2 * i for i in half] + [2 * i + 1 for i in half]
        else:
            order = [row for i in half for row in (i, i + self.rotated // 2)]
        for name in self.names:
            value = now(name)
            rows = list(range(len(value)))
            for start in self.starts:
                rows[start : start + self.rotated] = [start + row for row in order]
            yield name, value[rows]
