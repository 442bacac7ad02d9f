"""Norms are left out: what comes in goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diag.model.edits.base import Edit, Handle

if TYPE_CHECKING:
    from torch import Tensor, nn

_OF_QUERIES_AND_KEYS = ("q_norm", "k_norm")


@dataclass(frozen=True)
class LeaveOutNorm(Edit):
    """The norm before the head, or those of queries and keys, change nothing."""

    which: Literal["final norm", "norms of q and k"]
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.which,)

    @property
    def sentence(self) -> str:
        return f"The {self.which} {'is' if self.which == 'final norm' else 'are'} left out."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        from diag.model.parts import final_norm

        if self.which == "final norm":
            found = [final_norm(model)]
        else:
            found = [m for name, m in model.named_modules() if name.rpartition(".")[2] in _OF_QUERIES_AND_KEYS]
        return [module.register_forward_hook(_unchanged) for module in found]


def _unchanged(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return args[0]
