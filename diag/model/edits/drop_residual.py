"""What a block adds to the residual stream stands in its place: the stream itself is not carried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from diag.model.edits.base import Edit, Handle

if TYPE_CHECKING:
    from torch import Tensor, nn

Where = Literal["attention", "MLP", "both", "block"]


@dataclass(frozen=True)
class DropResidual(Edit):
    """In every block the stream is not added to the update of attention, of the MLP, or of both; "block": what leaves
    the block is what it would have added to the stream. updates: the family's submodules that give the two updates."""

    where: Where
    updates: tuple[str, str]
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return (f"residual stream: {self.where}",)

    @property
    def sentence(self) -> str:
        if self.where == "block":
            return "What enters a block is not added to what leaves it."
        whose = "both updates" if self.where == "both" else f"the update of {self.where}"
        return f"The residual stream is not added to {whose}."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        from diag.model.blocks import blocks

        return [handle for block in blocks(model) for handle in self._on(block)]

    def _on(self, block: nn.Module) -> list[Handle]:
        held: dict[str, Tensor] = {}  # the stream at this point of the call that runs

        def enters(module: nn.Module, args: tuple[Any, ...]) -> None:
            held["stream"] = args[0]

        def alone(update: Tensor) -> Tensor:
            return update - held["stream"]

        def attention(update: Tensor) -> Tensor:
            update = alone(update) if self.where in ("attention", "both") else update
            held["stream"] = held["stream"] + update
            return update

        handles: list[Handle] = [block.register_forward_pre_hook(enters)]
        if self.where == "block":
            return [*handles, block.register_forward_hook(_changed(alone))]
        first, second = (getattr(block, name) for name in self.updates)
        handles.append(first.register_forward_hook(_changed(attention)))
        if self.where in ("MLP", "both"):
            handles.append(second.register_forward_hook(_changed(alone)))
        return handles


def _changed(change: Callable[[Tensor], Tensor]) -> Callable[[nn.Module, object, Any], object]:
    def hook(module: nn.Module, args: object, output: Any) -> object:
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    return hook
