"""The bytes of tensors are read under another type tag, or in the other byte order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.model.edits.base import Reread, named

if TYPE_CHECKING:
    from diag.checkpoints import Checkpoint
    from diag.checkpoints.dtypes import Array


@dataclass(frozen=True)
class Retag(Reread):
    """The stored bytes of each named tensor are read as `tag`, a row of `diag.checkpoints.dtypes.READ_AS` that is as
    wide as the tag in the file."""

    tag: str

    @property
    def sentence(self) -> str:
        return f"The bytes of {named(self.names)} are read as {self.tag}."

    def values(self, file: Checkpoint, name: str) -> Array:
        return file.float32(name, self.tag)
