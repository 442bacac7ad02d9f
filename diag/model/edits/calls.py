"""What transformers calls a block with, changed on the way in: its masks, its rotary tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from diag.model.edits.base import Handle

# (the stream, the argument) → what the block gets in place of the argument.
Change = Callable[[Any, Any], Any]


def change_argument(model: nn.Module, name: str, change: Change) -> Sequence[Handle]:
    """In every block the argument `name` becomes what `change` makes of it, whether it comes by place or by name."""
    from diag.model.blocks import blocks

    return [block.register_forward_pre_hook(_changing(name, change), with_kwargs=True) for block in blocks(model)]


def _changing(name: str, change: Change) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    def hook(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        place = list(inspect.signature(type(block).forward).parameters).index(name) - 1  # without self
        if place < len(args):
            return (*args[:place], change(args[0], args[place]), *args[place + 1 :]), kwargs
        return args, kwargs | {name: change(args[0], kwargs.get(name))}

    return hook
