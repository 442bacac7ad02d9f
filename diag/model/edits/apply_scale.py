"""8-bit numbers are multiplied by the scale that the file holds for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.checkpoints.audit.scales import block_in, scale_in
from diag.checkpoints.scales import multiply
from diag.errors import InputError
from diag.model.edits.base import Reread, named

if TYPE_CHECKING:
    from diag.checkpoints import Checkpoint
    from diag.checkpoints.dtypes import Array


@dataclass(frozen=True)
class ApplyScale(Reread):
    """Each named tensor is multiplied by its own scale, a tensor of the file that nothing reads."""

    @property
    def sentence(self) -> str:
        return f"{named(self.names)} multiplied by the scale that is in the file."

    def values(self, file: Checkpoint, name: str) -> Array:
        scale, block = scale_in(file, name), block_in(file, name)
        if scale is None or block is None:
            raise InputError("The file holds no scale that fits this tensor.", where=name)
        found = file.float32(name)
        multiply(found, file.float32(scale), block)
        return found
