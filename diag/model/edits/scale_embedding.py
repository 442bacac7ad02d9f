"""What the embedding gives is multiplied by a constant; a head tied to it reads the matrix as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, Handle

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ScaleEmbedding(Edit):
    """The vectors that the embedding gives count `by` times."""

    by: float
    order = 3

    @property
    def targets(self) -> tuple[str, ...]:
        return ("embedding scale",)

    @property
    def sentence(self) -> str:
        return f"What the embedding gives is multiplied by {self.by:.6g}."

    def hooks(self, model: nn.Module) -> Sequence[Handle]:
        def times(module: nn.Module, args: object, output: Tensor) -> Tensor:
            return output * self.by

        return [model.get_input_embeddings().register_forward_hook(times)]  # type: ignore[operator]
