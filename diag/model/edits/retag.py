"""The bytes of tensors are read under another type tag, or in the other byte order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Edit, named

if TYPE_CHECKING:
    from torch import Tensor

    from diag.checkpoints import Checkpoint


@dataclass(frozen=True)
class Retag(Edit):
    """The stored bytes of each named tensor are read as `tag`, a row of `diag.checkpoints.dtypes.READ_AS` that is as
    wide as the tag in the file."""

    names: tuple[str, ...]
    tag: str
    order = -1

    @property
    def targets(self) -> tuple[str, ...]:
        return self.names

    @property
    def sentence(self) -> str:
        return f"The bytes of {named(self.names)} are read as {self.tag}."

    def reread(self, file: Checkpoint) -> Iterator[tuple[str, Tensor]]:
        import torch

        for name in self.names:
            yield name, torch.from_numpy(file.float32(name, self.tag))
