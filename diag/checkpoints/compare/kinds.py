"""What a reference is to a checkpoint: a twin, the same rounded, a relative, or another model. Told from the tensors.

Equality is counted up to the named patterns, so a file in which every matrix is misread is still a twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diag.checkpoints.compare.differences import CheckpointComparison, TensorDifference
from diag.checkpoints.reader import Checkpoint
from diag.results.thresholds_checkpoints import FINER_GRID, MOST

Kind = Literal["twin", "quantised", "relative", "unrelated"]


@dataclass(frozen=True)
class Relationship:
    """kind: what the reference is. grown: one of the two has more vocabulary rows. same, trained, compared: matrices
    that are the same in some form, that resemble each other as before and after training, and in all."""

    kind: Kind
    grown: bool
    same: int
    trained: int
    compared: int


def relationship(comparison: CheckpointComparison, here: Checkpoint, there: Checkpoint) -> Relationship:
    """Count tensors; cost: none beyond the comparison.

    One matrix that looks trained makes a relative of what is equal otherwise: a head that was trained again is the work
    of somebody, not a defect. Vectors decide nothing here: those of norms resemble each other whatever they hold.
    """
    both = [one for one in comparison.tensors if one.shape_here is not None and one.shape_there is not None]
    matrices = [one for one in both if len(one.shape_here or ()) > 1] or both
    quantised = sum(one.bits is not None for one in matrices) > MOST.value * len(matrices)
    finer = [one for one in matrices if quantised and _finer(one)]
    same = sum(one.same for one in matrices) + len(finer)
    trained = sum(_trained(one) for one in matrices) - len(finer)
    rounded = sum(one.pattern == "close" for one in matrices) + len(finer)
    grown = _rows(here) != _rows(there)
    kind: Kind = "unrelated"
    if matrices and same + trained > MOST.value * len(matrices):
        kind = "relative" if trained else ("quantised" if rounded > same / 2 else "twin")
    return Relationship(kind, grown, same, trained, len(matrices))


def _finer(one: TensorDifference) -> bool:
    """Of a quantised file: a tensor kept in more bits, whose grid the stored type hides."""
    return one.pattern == "trained" and one.relative is not None and one.relative <= FINER_GRID.value


def _trained(one: TensorDifference) -> bool:
    return one.pattern == "trained" or (one.approximate and one.pattern not in ("scaled", "partly"))


def _rows(checkpoint: Checkpoint) -> int | None:
    family = checkpoint.family
    info = checkpoint.tensors.get(family.roles["embedding"].tensor()) if family else None
    return info.shape[0] if info and info.shape else None
