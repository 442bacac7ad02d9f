"""What a reference is to the checkpoint, whether it vouches, and what differs from it. Imports torch.

A reference decides something only if it is another file, below the bigram, and without findings at error level.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from diag.checkpoints import compare_checkpoints
from diag.checkpoints.audit import audit_findings
from diag.checkpoints.compare.differences import CheckpointComparison, TensorDifference
from diag.checkpoints.compare.groups import Difference, differences
from diag.checkpoints.compare.kinds import Relationship, relationship
from diag.checkpoints.reader import Checkpoint
from diag.jobs import models
from diag.jobs.inputs import Inputs
from diag.model.edits.round_to import RoundTo
from diag.model.evaluate import Evaluator
from diag.progress import Progress
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import ReferenceFound
from diag.results.thresholds import ESTIMATED_ROUNDING, RELATIVE_SHARE, TWIN_NATS


@dataclass(frozen=True)
class Judged:
    """found: for the record. differences: what differs from a reference that vouches. equal: what equals it, as edits
    name their targets. losses: its per-sequence losses, nats [n]; None where it does not vouch. rounded: the same after
    rounding it to the checkpoint's types, for a quantised twin."""

    found: ReferenceFound | None = None
    differences: tuple[Difference, ...] = ()
    equal: frozenset[str] = frozenset()
    losses: np.ndarray | None = None
    rounded: np.ndarray | None = None


def judge_reference(inputs: Inputs, baseline: BaselineResult, progress: Progress) -> Judged:
    """Compare every tensor and setting, and say what the reference may decide. Costs the comparison, an audit of the
    reference, and for a quantised twin one more load and pass."""
    here, there = inputs.checkpoint, inputs.reference
    if there is None:
        return Judged()
    comparison = compare_checkpoints(here, there, progress)
    relation = relationship(comparison, here, there)
    against = _against(inputs, there, baseline, relation, progress)
    rounded = None
    if not against and relation.kind == "quantised":
        rounded = _rounded_losses(inputs, there, comparison)
    differs = () if against else differences(comparison, relation, here, there)
    estimated = not differs and any(isinstance(_rounds(one), float) for one in _close(comparison))
    tolerance = None if against else _tolerance(baseline, relation, rounded, estimated)
    found = ReferenceFound(
        kind=relation.kind,
        grown=relation.grown,
        vouches=not against,
        tolerance_nats=tolerance,
        same=relation.same,
        trained=relation.trained,
        compared=relation.compared,
        why_not=against,
    )
    if against or baseline.reference is None:
        return Judged(found)
    return Judged(
        found,
        differs,
        _equal(comparison, here, there),
        np.array(baseline.reference.per_sequence_nats),
        rounded,
    )


def _against(
    inputs: Inputs, there: Checkpoint, baseline: BaselineResult, relation: Relationship, progress: Progress
) -> str:
    """Why the reference decides nothing; "" where it vouches."""
    measured, bigram = baseline.reference, baseline.ruler.bigram_nats
    judged = "so the case is judged as without one."
    if there.fingerprint == inputs.checkpoint.fingerprint:
        return f"The reference is the checkpoint itself, {judged}"
    if relation.kind == "unrelated":
        return f"The reference has nothing in common with this checkpoint, so its loss is only a mark, and {judged[3:]}"
    if measured is None or not math.isfinite(measured.loss_nats):
        return f"The reference's own loss is not finite, {judged}"
    if bigram is None:
        return f"There is no bigram to hold the reference's loss against, {judged}"
    if measured.loss_nats >= bigram:
        return f"The reference's own loss, {measured.loss_nats:.3f} nats, is no better than the bigram's, {judged}"
    errors = [f for f in audit_findings(there, progress) if f.severity == "error"]
    if errors:
        return f"The reference has a defect of its own ({errors[0].message.rstrip('.')}), {judged}"
    return ""


def _tolerance(baseline: BaselineResult, relation: Relationship, rounded: np.ndarray | None, estimated: bool) -> float:
    """The excess that is none, nats. estimated: nothing but a grid of unknown make differs, and its
    cost is that of an even one which loses as much: within ESTIMATED_ROUNDING of it."""
    assert baseline.reference is not None
    theirs, unigram = baseline.reference.loss_nats, baseline.ruler.unigram_mark
    if relation.kind == "relative":
        return max(TWIN_NATS.value, RELATIVE_SHARE.value * (unigram - theirs))
    costs = max(0.0, float(rounded.mean()) - theirs) if rounded is not None else 0.0
    return TWIN_NATS.value + costs * (ESTIMATED_ROUNDING.value if estimated else 1.0)


def _rounded_losses(inputs: Inputs, there: Checkpoint, comparison: CheckpointComparison) -> np.ndarray:
    """The reference's losses, nats [n], after rounding it in memory to the types of the checkpoint."""
    by_type: dict[str | float, list[str]] = defaultdict(list)
    for one in _close(comparison):
        by_type[_rounds(one)].append(one.name)
    name = inputs.case.reference or ""
    loaded = models.KEPT.of(there, device=inputs.case.device, dtype=inputs.case.dtype, name=name)
    evaluator = Evaluator(loaded, inputs.window.ids)
    edits = tuple(
        RoundTo(tuple(n for n in names if n in loaded.tensors), dtype)
        for dtype, names in sorted(by_type.items(), key=str)
    )
    return evaluator.losses([edit for edit in edits if edit.names])


def _close(comparison: CheckpointComparison) -> list[TensorDifference]:
    """Tensors that rounding explains."""
    return [one for one in comparison.tensors if one.verdict == "close" and one.dtype_here]


def _rounds(one: TensorDifference) -> str | float:
    """What rounded a tensor, as RoundTo takes it: a type, or the share of the norm that a grid of unknown make lost."""
    if one.bits and not one.block_type and one.relative:
        return round(one.relative, 3)
    return one.block_type or str(one.dtype_here)


def _equal(comparison: CheckpointComparison, here: Checkpoint, there: Checkpoint) -> frozenset[str]:
    """Names of what equals the reference: tensors, rounded or not, and "eps"."""
    same = {one.name for one in comparison.tensors if one.verdict in ("equal", "close")}
    if here.config.rms_norm_eps == there.config.rms_norm_eps:
        same.add("eps")
    return frozenset(same)
