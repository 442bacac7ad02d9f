"""The loss by position: as loaded, and of the reference or after the joint repair. Pure functions of what was measured.

What a model sees first it predicts from itself alone, whatever its angles are; rotary embedding at fault costs more the
longer the distances are. Defects of head, norms and MLPs are there from the first position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Diagnosis
from diag.results.thresholds import GROWS_FROM, GROWS_NATS, MATERIAL_SE

Losses = Sequence[Sequence[float]]  # [sequences, buckets], nats


@dataclass(frozen=True)
class PositionLoss:
    """Means over sequences at positions `first` to `last`, nats, each with its standard error. other: of the reference
    or after the repair; over: as loaded less that, paired by sequence. Null where there is none."""

    first: int
    last: int
    nats: float
    stderr: float
    other_nats: float | None = None
    other_stderr: float | None = None
    over_nats: float | None = None
    over_stderr: float | None = None


@dataclass(frozen=True)
class ByPosition:
    """The rows in order. other: "the reference" or "the repaired checkpoint"; "" without either. growth_nats: how much
    more the difference is over the last half of the positions than at the first, paired, with its standard error."""

    rows: tuple[PositionLoss, ...]
    other: str = ""
    growth_nats: float | None = None
    growth_stderr: float | None = None

    @property
    def grows(self) -> bool:
        """Whether the difference grows with the position, from nothing: a sound model gains from longer context, so
        that any defect costs more there; wrong angles cost nothing at the first."""
        first, last = self.rows[0].over_nats, self.rows[-1].over_nats
        if self.growth_nats is None or self.growth_stderr is None or first is None or last is None:
            return False
        enough = self.growth_nats > max(MATERIAL_SE.value * self.growth_stderr, GROWS_NATS.value)
        return enough and abs(first) < GROWS_FROM.value * last

    @property
    def sentence(self) -> str:
        """How the difference goes with the position; "" where there is nothing to differ from."""
        first, last = self.rows[0], self.rows[-1]
        if first.over_nats is None or last.over_nats is None:
            return ""
        how = "grows with the position" if self.grows else "does not grow from nothing with the position"
        return (
            f"The difference to {self.other} {how}: {first.over_nats:+.3f} nats at the first, {last.over_nats:+.3f} at "
            f"{last.first} to {last.last}."
        )


def by_position(result: Diagnosis | BaselineResult) -> ByPosition | None:
    """As loaded against a reference, or else against the joint repair; None for a record that kept no positions."""
    baseline = result.baseline if isinstance(result, Diagnosis) else result
    assert isinstance(baseline, BaselineResult)
    mine = baseline.measurement.by_position_nats if baseline.measurement else ()
    positions = baseline.tokens // max(1, baseline.sequences)
    if baseline.reference and baseline.reference.by_position_nats:
        return compared(mine, baseline.reference.by_position_nats, positions, "the reference")
    joint = result.joint if isinstance(result, Diagnosis) else None
    return compared(mine, joint.by_position_nats if joint else (), positions, "the repaired checkpoint")


def compared(mine: Losses, theirs: Losses, positions: int, other: str) -> ByPosition | None:
    """Two losses [sequences, buckets] of one window of so many positions, bucket by bucket; None where the first is not
    known or not finite."""
    here = np.array(mine, dtype=np.float64)
    if here.ndim != 2 or not np.isfinite(here).all():
        return None
    ends = [min(2**i, positions) for i in range(here.shape[1])]
    spans = [(0 if i == 0 else ends[i - 1], end - 1) for i, end in enumerate(ends)]
    there = np.array(theirs, dtype=np.float64)
    if there.shape != here.shape or not np.isfinite(there).all():
        rows = [PositionLoss(*span, *_mean(here[:, i])) for i, span in enumerate(spans)]
        return ByPosition(tuple(rows))
    over = here - there
    rows = [
        PositionLoss(*span, *_mean(here[:, i]), *_mean(there[:, i]), *_mean(over[:, i])) for i, span in enumerate(spans)
    ]
    return ByPosition(tuple(rows), other, *_mean(over[:, -1] - over[:, 0]))


def _mean(values: np.ndarray) -> tuple[float, float]:
    """(mean, its standard error); 0 for one sequence."""
    n = len(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
