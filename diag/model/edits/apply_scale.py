"""8-bit numbers are multiplied by the scale that the file holds for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.checkpoints.audit.scales import block_in, scale_in
from diag.checkpoints.scales import multiply
from diag.errors import InputError
from diag.model.edits.base import Edit, named

if TYPE_CHECKING:
    from torch import Tensor

    from diag.checkpoints import Checkpoint


@dataclass(frozen=True)
class ApplyScale(Edit):
    """Each named tensor is multiplied by its own scale, a tensor of the file that nothing reads."""

    names: tuple[str, ...]
    order = -1

    @property
    def targets(self) -> tuple[str, ...]:
        return self.names

    @property
    def sentence(self) -> str:
        return f"{named(self.names)} multiplied by the scale that is in the file."

    def reread(self, file: Checkpoint) -> Iterator[tuple[str, Tensor]]:
        import torch

        for name in self.names:
            scale, block = scale_in(file, name), block_in(file, name)
            if scale is None or block is None:
                raise InputError("The file holds no scale that fits this tensor.", where=name)
            values = file.float32(name)
            multiply(values, file.float32(scale), block)
            yield name, torch.from_numpy(values)
