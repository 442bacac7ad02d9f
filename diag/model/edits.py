"""Edits: what a repair, an ablation or an injected defect changes, as plain data.

An edit names tensors by their Hugging Face names and says what they become. It is realised for one call only, by
`diag.model.apply`; the loaded model and the file are never changed. Because an edit is data it travels to the worker,
into the record, and back into the sentence that a person reads. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# The two ways a row-major buffer and its shape can disagree. For W [out, in] and its stored form B [out, in]:
#   column_major: the bytes are W written column by column, so W = B.reshape(in, out).T
#   untranspose:  the bytes went through a column-major read before, so W = B.T.reshape(out, in)
Reading = Literal["column_major", "untranspose"]


@dataclass(frozen=True)
class Copy:
    """`target` becomes a copy of `source`, both of this checkpoint."""

    target: str
    source: str


@dataclass(frozen=True)
class FromReference:
    """Each named tensor becomes the reference's. A tied reference gives its embedding where the head is asked for."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Reorder:
    """The buffer of each named matrix is read in the other order; the shape and the bytes stay."""

    names: tuple[str, ...]
    reading: Reading


@dataclass(frozen=True)
class Shift:
    """A constant is added to each named tensor."""

    names: tuple[str, ...]
    by: float


@dataclass(frozen=True)
class SetEps:
    """Every norm runs with this epsilon instead of the config's."""

    eps: float


@dataclass(frozen=True)
class SkipBlock:
    """Block `index` passes the residual stream through unchanged."""

    index: int


Edit = Copy | FromReference | Reorder | Shift | SetEps | SkipBlock

# How much an edit takes from outside the bytes it repairs. Between two cures of the same loss the lower one is the
# more specific: it explains the number with less.
OWN_BYTES, SAME_CHECKPOINT, FROM_REFERENCE = 0, 1, 2
_BORROWS: dict[type, int] = {Copy: SAME_CHECKPOINT, FromReference: FROM_REFERENCE}


def borrows(edits: Iterable[Edit]) -> int:
    """The farthest source that any of the edits copies from (OWN_BYTES, SAME_CHECKPOINT or FROM_REFERENCE)."""
    return max((_BORROWS.get(type(edit), OWN_BYTES) for edit in edits), default=OWN_BYTES)
