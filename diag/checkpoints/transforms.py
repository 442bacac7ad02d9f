"""How a stored tensor becomes the one that Hugging Face's code expects: exporters permute, transpose and shift.

A transform is data: it stands beside the tensor's entry and is applied when the tensor is read. All work on float32 in
memory. A new one is a class here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from diag.checkpoints.dtypes import Array


class StoredTransform(Protocol):
    """What has to be done to a tensor as it is stored."""

    @property
    def words(self) -> str:
        """What is done, for people."""

    def apply(self, stored: Array) -> Array:
        """The tensor of Hugging Face's code, from the stored one in its stored shape."""


@dataclass(frozen=True)
class PairedToHalves(StoredTransform):
    """Rows of `heads` heads, stored in adjacent rotary pairs (0, d/2, 1, d/2 + 1, …), put back into split halves.
    stored [heads · d, ...]. Source: LlamaModel.permute of llama.cpp's converter, which does the reverse to Q and K."""

    heads: int
    words = "rows put back from adjacent-pair rotary order to split halves"

    def apply(self, stored: Array) -> Array:
        rows = stored.shape[0]
        split = stored.reshape(self.heads, rows // self.heads // 2, 2, *stored.shape[1:])
        return split.swapaxes(1, 2).reshape(stored.shape)


@dataclass(frozen=True)
class Transposed(StoredTransform):
    """The other order of a matrix: GPT-2's Conv1D is [in, out] in Hugging Face's files, [out, in] elsewhere."""

    words = "transposed"

    def apply(self, stored: Array) -> Array:
        return np.ascontiguousarray(stored.T)


@dataclass(frozen=True)
class Plus(StoredTransform):
    """A constant added to every element: an exporter had added or taken away the offset of a norm."""

    by: float

    @property
    def words(self) -> str:
        return f"{self.by:+g} on every element"

    def apply(self, stored: Array) -> Array:
        return stored + np.float32(self.by)


@dataclass(frozen=True)
class Reshaped(StoredTransform):
    """The same elements in another shape, such as a bias stored as [1, n]."""

    shape: tuple[int, ...]
    words = "reshaped"

    def apply(self, stored: Array) -> Array:
        return stored.reshape(self.shape)


@dataclass(frozen=True)
class PartsToHeads(StoredTransform):
    """Rows that stand as all of Q, then all of K, then all of V, put back into the order head by head (q, k, v of the
    first head, then of the second, …) that GPT-NeoX has. stored [3 · heads · d, ...]."""

    heads: int
    words = "rows of q, k and v put back into the order head by head"

    def apply(self, stored: Array) -> Array:
        return stored.reshape(3, self.heads, -1, *stored.shape[1:]).swapaxes(0, 1).reshape(stored.shape)
