"""Everything that one run of `test` found: the baseline, a finding a hypothesis, the joint set, the conclusion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from diag.results.baseline import BaselineResult
from diag.results.finding import Finding
from diag.results.ruler import Loss
from diag.results.yardstick import Yardstick

ConclusionKind = Literal[
    "explained", "partly_explained", "unexplained", "suspect", "healthy", "no_defect_found", "runtime", "data", "unit"
]
ReferenceKind = Literal["twin", "quantised", "relative", "unrelated"]

CONCLUSION_WORDS: dict[ConclusionKind, str] = {
    "data": "the data is bad, and everything else waits",
    "explained": "the repairs named restore the loss",
    "partly_explained": "the repairs named restore a part of the loss; the rest is open",
    "suspect": "something may be wrong, and this run cannot decide it",
    "unexplained": "the loss is bad, and nothing tested explains it",
    "unit": "the claim is the recomputed loss in another unit",
    "runtime": "the checkpoint is sound here: the fault is in the program that produced the claim",
    "healthy": "the loss is what a trusted copy or an expected loss says it must be, and nothing is wrong",
    "no_defect_found": "nothing was found, and there is nothing to compare with closely enough to call it healthy",
}


@dataclass(frozen=True)
class JointRepair:
    """A member of the joint set."""

    id: str
    name: str


@dataclass(frozen=True)
class Joint:
    """The smallest set of repairs within noise of the best, and what each hypothesis in it is worth in nats.
    stderr_nats: the standard error of what all gain together, and attribution_stderr of each, paired over the
    sequences; empty in records that have none.
    by_position_nats: with all of them, as a measurement has it. edits: what the repairs change, as plain data in the
    order in which they are applied (diag/model/edits/as_data.py); empty in records that have none."""

    repairs: tuple[JointRepair, ...]
    loss_nats: float
    share: float | None
    attribution: dict[str, float | None]
    stderr_nats: float | None = None
    by_position_nats: tuple[tuple[float, ...], ...] = ()
    attribution_stderr: dict[str, float | None] = field(default_factory=dict)
    edits: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Fix:
    """One change to make. what: the kind of thing; where: tensors, a file or a key; change: what becomes of it."""

    what: str
    where: str
    change: str


@dataclass(frozen=True)
class NotExcluded:
    """A hypothesis that this run leaves open, why, and how much of the loss it could hide: nats, null where nothing
    bounds it."""

    id: str
    why: str
    could_hide_nats: float | None


@dataclass(frozen=True)
class Conclusion:
    """The answer, as a word for programs and a sentence for people. hypotheses: those that explain it, or the first
    suspects. fix: the changes that the joint repair stands for. not_excluded: what could still be wrong."""

    kind: ConclusionKind
    hypotheses: tuple[str, ...]
    text: str
    fix: tuple[Fix, ...] = ()
    not_excluded: tuple[NotExcluded, ...] = ()


@dataclass(frozen=True)
class ReferenceFound:
    """What the reference is to the checkpoint, told from the tensors. vouches: whether it may decide anything; why_not
    says what forbids it. tolerance_nats: an excess up to this is none; null where it does not vouch."""

    kind: ReferenceKind
    grown: bool
    vouches: bool
    tolerance_nats: float | None
    same: int = 0
    trained: int = 0
    compared: int = 0
    why_not: str = ""


@dataclass(frozen=True)
class DifferenceFound:
    """One difference from the reference: tensors or keys, layers, pattern, a sentence. delta_nats: what undoing it
    gives, beside the other accepted repairs or else alone; null where that was not measured. hypothesis: the one that
    claims it."""

    names: tuple[str, ...]
    layers: tuple[int, ...]
    pattern: str
    detail: str
    delta_nats: float | None
    hypothesis: str
    stderr_nats: float | None = None


@dataclass(frozen=True)
class DataFound:
    """The shard's audit in a word, and its reasons as sentences."""

    status: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """Everything one run of `test` found. What was measured as loaded is the baseline's, and stands nowhere else.

    notes: what is to be known beside the baseline's notes. forward_passes: of one sequence each, the baseline's
    included. seconds: wall time of the whole run. reference, differences: null without a reference.
    expected_nats: the loss that was promised, if one was. yardstick: null where it was not needed. stopped: why the run
    was ended before it was done; "" where it was not.
    """

    baseline: BaselineResult
    findings: tuple[Finding, ...]
    joint: Joint | None
    conclusion: Conclusion
    seconds: float = 0.0
    forward_passes: int = 0
    notes: tuple[str, ...] = ()
    reference: ReferenceFound | None = None
    differences: tuple[DifferenceFound, ...] | None = None
    data: DataFound | None = None
    expected_nats: float | None = None
    yardstick: Yardstick | None = None
    stopped: str = ""

    @property
    def loss(self) -> Loss:
        """The loss as loaded, on its ruler."""
        return self.baseline.loss

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The baseline's notes, then the run's own."""
        return (*self.baseline.notes, *self.notes)
