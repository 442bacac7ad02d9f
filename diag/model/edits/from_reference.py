"""Tensors are taken from the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.errors import InputError
from diag.model.edits.base import Named, Now, Provenance, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FromReference(Named):
    """Each named tensor becomes the reference's. A tied reference gives its embedding where the head is asked for."""

    order = 1
    provenance = Provenance.REFERENCE
    common_rows = True

    @property
    def sentence(self) -> str:
        return f"The reference replaces {named(self.names)}."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        if reference is None:
            raise InputError("This edit copies from a reference, and there is none.", where=self.names[0])
        for name in self.names:
            yield name, reference.tensor(name)
