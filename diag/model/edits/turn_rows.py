"""Rotary embedding turns queries and keys by other angles: by none, or the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diag.model.edits.base import Edit, Handle
from diag.model.edits.calls import change_argument

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class TurnRows(Edit):
    """Every angle counts `times` times, of which 0 (no rotary embedding) and −1 (backwards) can be had from the tables
    of cosines and sines alone."""

    times: int
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return ("rotary angles",)

    @property
    def sentence(self) -> str:
        return "Queries and keys are turned backwards." if self.times else "Queries and keys are not turned."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        return change_argument(model, "position_embeddings", self._tables)

    def _tables(self, stream: Any, own: Any) -> Any:
        cos, sin = own
        return (cos, -sin) if self.times else (cos.new_ones(cos.shape), sin.new_zeros(sin.shape))
