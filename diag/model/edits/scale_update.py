"""What one part of a block adds to the residual stream, times a factor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, Handle

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ScaleUpdate(Edit):
    """The update of `module`, which the family's `updates` names, of block `index` counts `factor` times."""

    index: int
    module: str
    factor: float
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return (f"block {self.index}, {self.module}",)

    @property
    def sentence(self) -> str:
        return f"What {self.module} of block {self.index} adds to the stream counts {self.factor:g} times."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        from diag.model.blocks import blocks

        return (getattr(blocks(model)[self.index], self.module).register_forward_hook(_times(self.factor)),)


def _times(factor: float) -> Callable[[nn.Module, object, Tensor | tuple[Tensor, ...]], object]:
    def hook(module: nn.Module, args: object, output: Tensor | tuple[Tensor, ...]) -> object:
        if isinstance(output, tuple):
            return (output[0] * factor, *output[1:])
        return output * factor

    return hook
