"""A block adds nothing to the residual stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, Handle

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SkipBlock(Edit):
    """Block `index` passes the residual stream through unchanged."""

    index: int
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return (f"block {self.index}",)

    @property
    def sentence(self) -> str:
        return f"The residual stream passes block {self.index} unchanged."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        from diag.model.blocks import blocks

        return (blocks(model)[self.index].register_forward_hook(_pass_through),)


def _pass_through(module: nn.Module, args: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> object:
    stream = args[0]
    return (stream, *output[1:]) if isinstance(output, tuple) else stream
