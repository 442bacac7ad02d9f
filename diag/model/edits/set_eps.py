"""Every norm runs with another epsilon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, Handle

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SetEps(Edit):
    """Every norm runs with this epsilon instead of the config's."""

    eps: float
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return ("eps",)

    @property
    def sentence(self) -> str:
        return f"Every norm runs with eps {self.eps:g}."

    @property
    def config(self) -> dict[str, float]:
        return {"rms_norm_eps": self.eps}

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        return [norm.register_forward_hook(_with_eps(own, self.eps)) for norm, own in norms(model) if own != self.eps]


def norms(model: nn.Module) -> list[tuple[nn.Module, float]]:
    """Every norm of the model with its epsilon, in module order."""
    found = []
    for module in model.modules():
        eps = getattr(module, "variance_epsilon", getattr(module, "eps", None))
        if isinstance(eps, float) and "Norm" in type(module).__name__:
            found.append((module, eps))
    return found


def _with_eps(own: float, eps: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """Turn the output for `own` into the output for `eps`, whatever the norm's weight convention (w or 1 + w).

    y(eps) = y(own) · √((v + own) / (v + eps)), with v the mean square of the input (for LayerNorm its variance, and y
    without the bias): exact up to float32 rounding, and it never touches the module's own attribute.
    """
    from torch import nn

    def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x, y, bias = args[0].float(), output.float(), None
        if isinstance(module, nn.LayerNorm):
            x, bias = x - x.mean(-1, keepdim=True), module.bias
        v = x.pow(2).mean(-1, keepdim=True)
        ratio = ((v + own) / (v + eps)).sqrt()
        scaled = y * ratio if bias is None else (y - bias.float()) * ratio + bias.float()
        return scaled.to(output.dtype)

    return hook
