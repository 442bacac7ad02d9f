"""Attention scores are multiplied by another factor before the softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, Handle

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ScaleScores(Edit):
    """What attention multiplies its scores by counts `by` times, in every layer."""

    by: float
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return ("attention scale",)

    @property
    def sentence(self) -> str:
        return f"Attention scores are multiplied by {self.by:.6g} times their factor."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        scaled = [(m, s) for m in model.modules() if isinstance(s := getattr(m, "scaling", None), float)]
        return [module.register_forward_pre_hook(_set(own * self.by)) for module, own in scaled]


def _set(scaling: float) -> Callable[[nn.Module, object], None]:
    """The module that runs is a shell of its own (diag/model/shell.py), so the loaded one keeps its factor."""

    def hook(module: nn.Module, args: object) -> None:
        module.scaling = scaling  # type: ignore[assignment]

    return hook
