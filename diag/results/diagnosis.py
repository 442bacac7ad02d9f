"""Everything that one run of `test` found: the baseline, a finding a hypothesis, the joint set, the conclusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diag.results.baseline import BaselineResult
from diag.results.finding import Finding
from diag.results.ruler import Loss

ConclusionKind = Literal["explained", "partly_explained", "unexplained", "healthy", "runtime", "data", "unit"]


@dataclass(frozen=True)
class JointRepair:
    """A member of the joint set."""

    id: str
    name: str


@dataclass(frozen=True)
class Joint:
    """The smallest set of repairs within noise of the best, and what each hypothesis in it is worth in nats."""

    repairs: tuple[JointRepair, ...]
    loss_nats: float
    share: float | None
    attribution: dict[str, float | None]
    stderr_nats: float | None = None


@dataclass(frozen=True)
class Conclusion:
    """The answer, as a word for programs and a sentence for people."""

    kind: ConclusionKind
    hypotheses: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Diagnosis:
    """Everything one run of `test` found. What was measured as loaded is the baseline's, and stands nowhere else.

    notes: what is to be known beside the baseline's notes. forward_passes: of one sequence each, the baseline's
    included. seconds: wall time of the whole run.
    """

    baseline: BaselineResult
    findings: tuple[Finding, ...]
    joint: Joint | None
    conclusion: Conclusion
    seconds: float = 0.0
    forward_passes: int = 0
    notes: tuple[str, ...] = ()

    @property
    def loss(self) -> Loss:
        """The loss as loaded, on its ruler."""
        return self.baseline.loss

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The baseline's notes, then the run's own."""
        return (*self.baseline.notes, *self.notes)
