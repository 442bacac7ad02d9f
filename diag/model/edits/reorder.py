"""The buffer of a matrix is read in another order: the shape and the bytes stay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.checkpoints.buffer_order import BufferOrder
from diag.model.edits.base import Named, Now, TensorSource, named

if TYPE_CHECKING:
    from torch import Tensor

_WORDS = {
    BufferOrder.AS_STORED: "as stored",
    BufferOrder.COLUMN_MAJOR: "column by column",
    BufferOrder.UNDO_COLUMN_MAJOR: "so that a column-major read is undone",
}


# The name of such a repair: what is done to the buffer.
ORDER_WORDS = {
    BufferOrder.COLUMN_MAJOR: "read column-major",
    BufferOrder.UNDO_COLUMN_MAJOR: "undo a column-major read",
}


@dataclass(frozen=True)
class Reorder(Named):
    """The buffer of each named matrix is read in `buffer_order` instead of as it is stored."""

    buffer_order: BufferOrder
    order = 0

    @property
    def sentence(self) -> str:
        many = len(self.names) > 1
        return (
            f"The buffer{'s' * many} of {named(self.names)} {'are' if many else 'is'} read {_WORDS[self.buffer_order]}."
        )

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        for name in self.names:
            yield name, reread(now(name), self.buffer_order)


def reread(buffer: Tensor, order: BufferOrder) -> Tensor:
    """`diag.checkpoints.buffer_order.reread` for a tensor [out, in]; the result is contiguous. Costs one copy."""
    if order is BufferOrder.COLUMN_MAJOR:
        return buffer.contiguous().view(buffer.shape[::-1]).t().contiguous()
    return buffer.t().contiguous().view(buffer.shape) if order is BufferOrder.UNDO_COLUMN_MAJOR else buffer
