"""Tensors hold what an initialisation gives: normal random numbers, with seed 0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Named, Now, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Fresh(Named):
    """Each named tensor is drawn anew from a normal distribution of mean 0. std: None for the tensor's own spread."""

    std: float | None = None
    order = 0

    @property
    def sentence(self) -> str:
        spread = "of its own spread" if self.std is None else f"of spread {self.std:g}"
        return f"{named(self.names)} drawn at random, {spread}, with seed 0."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        import torch

        for name in self.names:
            like = now(name)
            drawn = torch.randn(like.shape, generator=torch.Generator().manual_seed(0))
            yield name, drawn * (float(like.float().std()) if self.std is None else self.std)
