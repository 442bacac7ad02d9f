"""Which ids attention sees: all of them, all before, or a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diag.model.edits.base import Edit, Handle
from diag.model.edits.calls import change_argument

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SetMask(Edit):
    """Every layer has this mask in place of its own. causal: no id sees those behind it. window: how many ids it sees,
    itself included; None for all."""

    causal: bool = True
    window: int | None = None
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return ("attention mask",)

    @property
    def sentence(self) -> str:
        if not self.causal:
            return "Every id sees those behind it."
        reach = "all ids before it" if self.window is None else f"the last {self.window} ids"
        return f"In every layer each id sees {reach}."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        return change_argument(model, "attention_mask", self._mask)

    def _mask(self, stream: Any, own: Any) -> Tensor:
        import torch

        at = torch.arange(stream.shape[1], device=stream.device)
        back = at[:, None] - at[None, :]  # [query, key]: how far the key lies before the query
        hidden = back < 0 if self.causal else torch.zeros_like(back, dtype=torch.bool)
        if self.window is not None:
            hidden = hidden | (back >= self.window)
        least = torch.finfo(stream.dtype).min
        return torch.zeros_like(back, dtype=stream.dtype).masked_fill(hidden, least)[None, None]
