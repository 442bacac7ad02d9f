"""How a stored tensor becomes the one that Hugging Face's code expects: exporters permute, transpose and shift.

A view is data: it is named beside the tensor and applied when the tensor is read. All work on float32 in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from diag.checkpoints.dtypes import Array


class View(Protocol):
    """`apply` takes the tensor as stored, in its stored shape, and gives the canonical one. `words`: for people."""

    @property
    def words(self) -> str: ...

    def apply(self, stored: Array) -> Array: ...


@dataclass(frozen=True)
class PairedToHalves:
    """Rows of `heads` heads from adjacent-pair rotary order (0, h, 1, h + 1, …) back to split halves: what GGUF does to
    Q and K of the Llama family is undone. stored [heads · d, ...]. Source: formats.md, "GGUF"."""

    heads: int
    words = "rows put back from adjacent-pair rotary order to split halves"

    def apply(self, stored: Array) -> Array:
        """See View."""
        rows = stored.shape[0]
        split = stored.reshape(self.heads, rows // self.heads // 2, 2, *stored.shape[1:])
        return split.swapaxes(1, 2).reshape(stored.shape)


@dataclass(frozen=True)
class Transposed:
    """The other order of a matrix: GPT-2's Conv1D is [in, out] in Hugging Face's files, [out, in] elsewhere."""

    words = "transposed"

    def apply(self, stored: Array) -> Array:
        """See View."""
        return np.ascontiguousarray(stored.T)


@dataclass(frozen=True)
class Plus:
    """A constant added to every element: an exporter had added or taken away the offset of a norm."""

    by: float

    @property
    def words(self) -> str:
        """See View."""
        return f"{self.by:+g} on every element"

    def apply(self, stored: Array) -> Array:
        """See View."""
        return stored + np.float32(self.by)


@dataclass(frozen=True)
class Reshaped:
    """The same elements in another shape, such as a bias stored as [1, n]."""

    shape: tuple[int, ...]
    words = "reshaped"

    def apply(self, stored: Array) -> Array:
        """See View."""
        return stored.reshape(self.shape)


@dataclass(frozen=True)
class InOrder:
    """One view after the other."""

    views: tuple[View, ...]

    @property
    def words(self) -> str:
        """See View."""
        return ", ".join(view.words for view in self.views)

    def apply(self, stored: Array) -> Array:
        """See View."""
        for view in self.views:
            stored = view.apply(stored)
        return stored


@dataclass(frozen=True)
class PartsToHeads:
    """Rows that stand as all of Q, then all of K, then all of V, put back into the order head by head (q, k, v of the
    first head, then of the second, …) that GPT-NeoX has. stored [3 · heads · d, ...]."""

    heads: int
    words = "rows of q, k and v put back into the order head by head"

    def apply(self, stored: Array) -> Array:
        """See View."""
        return stored.reshape(3, self.heads, -1, *stored.shape[1:]).swapaxes(0, 1).reshape(stored.shape)
