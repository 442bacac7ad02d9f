"""Every norm computes the other kind: RMSNorm subtracts the mean as LayerNorm does, or LayerNorm leaves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, Handle
from diag.model.edits.set_eps import norms

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class OtherNorm(Edit):
    """RMSNorms run as LayerNorms without a bias, LayerNorms as RMSNorms with one."""

    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return ("kind of norm",)

    @property
    def sentence(self) -> str:
        return "Every RMSNorm subtracts the mean, and every LayerNorm does not."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        from torch import nn

        return [
            m.register_forward_hook(_uncentred(eps))
            if isinstance(m, nn.LayerNorm)
            else m.register_forward_pre_hook(_centred)
            for m, eps in norms(model)
        ]


def _centred(norm: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    x = args[0].float()
    return ((x - x.mean(-1, keepdim=True)).to(args[0].dtype), *args[1:])


def _uncentred(eps: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def hook(norm: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = args[0].float()
        y = x * (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt() * norm.weight  # type: ignore[operator]
        return (y if norm.bias is None else y + norm.bias).to(output.dtype)  # type: ignore[operator]

    return hook
