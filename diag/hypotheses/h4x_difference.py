"""H4X: something else differs from the reference. It has no repairs of its own: every difference that no other
hypothesis claims becomes one (`diag.hypotheses.differences`)."""

from __future__ import annotations

from diag.hypotheses.base import Context, Hypothesis
from diag.hypotheses.differences import OTHER
from diag.results.finding import Signature


def signature(context: Context) -> Signature:
    """Nothing by itself: what differs is known from the comparison, and shown in its place."""
    return Signature(False, "What differs from the reference is listed with what it costs.")


HYPOTHESIS = Hypothesis(
    id=OTHER,
    title="Another difference",
    claim="A tensor or a setting that no other hypothesis claims differs from the reference, and costs the loss.",
    refuted_by="Everything that differs from the reference is claimed by another hypothesis, or costs nothing.",
    signature=signature,
    applies=lambda context: context.reference is not None,
    not_applicable="Without a reference that vouches there is nothing to differ from.",
)
