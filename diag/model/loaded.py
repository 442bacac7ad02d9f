"""A checkpoint on a device: the live module, where its tensors stand, and how its blocks run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diag.checkpoints import Checkpoint
from diag.model.layer_reader import LayerReader
from diag.model.loss import TokenLoss
from diag.model.parts import Parts
from diag.model.runner import Runner


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint on a device. `tensors` maps the names in Hugging Face's files to the live parameters; nobody writes
    to them. `aliases`: a name that is the same parameter as another: the head of a tied model. `parts`: where each
    stands. `layers`: reads the blocks of a model that does not fit; their parameters in the module are on meta then.
    """

    loss: TokenLoss
    tensors: Mapping[str, Tensor]
    device: torch.device
    dtype: str
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    seconds: float
    updates: tuple[str, str]
    parallel: bool
    checkpoint: Checkpoint
    aliases: dict[str, str]
    parts: Parts
    layers: LayerReader | None
    runner: Runner

    def weights(self, layer: int) -> dict[str, Tensor]:
        """{name within block `layer`: tensor} of what the module itself does not hold."""
        return {} if self.layers is None else self.layers.layer(layer)

    @property
    def module(self) -> nn.Module:
        """The causal language model itself."""
        return self.loss.model

    @property
    def rows(self) -> int:
        """Embedding rows: the number of ids that the model can read, and chance is ln of it."""
        return int(self.module.get_input_embeddings().weight.shape[0])  # type: ignore[operator]

    @property
    def positions(self) -> int | None:
        """The longest sequence the config allows, or None where it sets none."""
        return getattr(self.module.config, "max_position_embeddings", None)
