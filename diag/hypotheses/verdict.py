"""What is said of one hypothesis (docs/verdicts.md). Pure functions of numbers; the conclusion is conclusion.py's."""

from __future__ import annotations

from dataclasses import dataclass

from diag.hypotheses.base import Hypothesis
from diag.hypotheses.gain import Gain
from diag.results.finding import Signature, Status
from diag.results.ruler import Zone
from diag.results.thresholds import ACCIDENT_NATS, CONFIRM_SHARE, LOCALISED_NATS

# Zones in which a loss is so bad that a further defect could hide behind it.
MASKING: tuple[Zone, ...] = (
    *("no_better_than_bigram", "no_better_than_unigram", "about_chance", "worse_than_chance", "not_finite"),
)
MORE = "A window of more sequences: raise batches or batch-size."


@dataclass(frozen=True)
class Trial:
    """What the runs said of one hypothesis. Gains are those of its best own repair; None where it has none.

    alone, on_top: over the loaded checkpoint, and over the accepted repairs of the others. removal: what is lost
    when its members are taken out of the joint set; None when it has no member there. backed: a signature carries
    what its members change. least: nats that such repairs gain by accident. edge: the best of a sweep lies
    at its end, so its optimum was not seen, and nothing confirms it. mended: the joint set of the others repairs all
    that the signature is seen from, and what remains is below the border. localised: the gain of its best localiser on
    top of the joint set, with its name. differs: sentences on what differs from a twin, where there is one.
    """

    alone: Gain | None = None
    on_top: Gain | None = None
    removal: Gain | None = None
    backed: bool = False
    least: float = ACCIDENT_NATS.value
    edge: bool = False
    mended: bool = False
    localised: tuple[str, Gain] | None = None
    differs: tuple[str, ...] = ()

    @property
    def located(self) -> bool:
        """Whether a localiser lowers the loss by more than any does on a sound model."""
        over = self.localised[1] if self.localised else None
        return over is not None and over.material and (over.delta or 0.0) >= LOCALISED_NATS.value

    @property
    def beyond_accident(self) -> bool:
        """Whether a signature backs the gain, or it is larger than what the same search finds by accident."""
        if self.edge or self.backed:
            return not self.edge
        found = self.removal.delta if self.removal else None
        return found is not None and found >= self.least


@dataclass(frozen=True)
class Outcome:
    """What is known of the whole case when a single hypothesis is judged.

    twin: a reference explains everything: a twin, or one up to rounding. exceeds: the excess over a reference's
    tolerance is material. below_border: what remains lies below the bigram by more than 3 standard errors. can_take: a
    reference is there to take tensors from.
    """

    twin: bool = False
    exceeds: bool = False
    below_border: bool = True
    masked: bool = False
    can_take: bool = False
    loss_finite: bool = True
    joint_ids: tuple[str, ...] = ()
    joint_share: float | None = None
    sequences: int = 2

    @property
    def recovers_half(self) -> bool:
        """The joint set recovers at least half; from a loss that is not finite, any finite one below chance does."""
        if not self.loss_finite:
            return bool(self.joint_ids)
        return self.joint_share is not None and self.joint_share >= CONFIRM_SHARE.value


Judged = tuple[Status, str, str]


def judge(hypothesis: Hypothesis, signature: Signature, trial: Trial, outcome: Outcome) -> Judged:
    """(status, reason, what would decide it) for one hypothesis."""
    if outcome.sequences < 2 and not signature.excluded:
        return "inconclusive", "One sequence has no standard error, so no difference can be told from noise.", MORE
    if trial.removal is not None:
        return _member(signature, trial, outcome)
    if outcome.twin:
        return _beside_a_twin(trial)
    return _alone(hypothesis, signature, trial, outcome)


def _member(signature: Signature, trial: Trial, outcome: Outcome) -> Judged:
    """Its repair belongs to the joint set."""
    assert trial.removal is not None
    unsigned = "" if signature.present or trial.differs else " No signature was seen; the loss alone says so."
    by_reference = outcome.exceeds and outcome.recovers_half and not trial.edge
    by_itself = outcome.below_border and trial.beyond_accident
    if trial.removal.material and (by_reference or (by_itself and not outcome.twin)):
        return "confirmed", f"Its repair belongs to the smallest set that cures the loss.{unsigned}", ""
    rest = "less than half of the excess is recovered" if outcome.exceeds else "what remains is not below the bigram"
    if trial.edge:
        rest = "the best value lies at the end of its sweep, so the optimum was not seen"
    return "contributing", f"Its repair helps, and {rest}.{unsigned}", ""


def _beside_a_twin(trial: Trial) -> Judged:
    """Everything that differs from the reference is known, and this is not among what costs the loss."""
    if trial.differs:
        return "present", f"It differs from the reference, and that costs nothing material: {trial.differs[0]}.", ""
    return "refuted", "What it is about equals the reference.", ""


def _alone(hypothesis: Hypothesis, signature: Signature, trial: Trial, outcome: Outcome) -> Judged:
    """No twin, and its repair is not in the joint set."""
    if signature.settled:
        return "present", "It was put right when the file was read, so it costs nothing here.", ""
    helped = any(g is not None and g.material for g in (trial.alone, trial.on_top))
    by = ", ".join(outcome.joint_ids)
    lost = signature.present and signature.needs_reference and not outcome.can_take
    if helped and by and not (trial.on_top and trial.on_top.material) and not lost:
        reason = f"Explained by {by}: on top of that, its repair adds nothing material."
        return "present" if signature.present else "refuted", reason, ""
    if signature.present and trial.mended:
        return "present", f"Explained by {by}: what it is seen from is what that repairs.", ""
    if signature.present:
        if trial.alone is None or lost:
            reason = "The signature is there, and what was lost can only come from a reference."
            return "inconclusive", reason, _decider(hypothesis, outcome)
        if outcome.masked:
            reason = "The signature is there, and a loss that nothing explains hides what its repair is worth."
            return "inconclusive", reason, _decider(hypothesis, outcome)
        if helped:
            reason = "The signature is there, and its repair lowers the loss by no more than others do by accident."
            return "inconclusive", reason, _decider(hypothesis, outcome)
        return "present", "The signature is there, and no repair of it changes the loss materially.", ""
    if trial.located and trial.localised:
        name, over = trial.localised
        reason = (
            f"Located, not repaired: '{name}' lowers the loss by {over.delta:.3g} nats, which no sound part allows."
        )
        return "inconclusive", reason, _decider(hypothesis, outcome)
    if signature.excluded:
        return "refuted", "The file leaves no room for it.", ""
    if outcome.masked:
        moved = " Its best repair moves the loss, as anything moves a hopeless one." if helped else ""
        left = "no better than the bigram" if outcome.loss_finite or outcome.joint_ids else "not finite"
        reason = f"Masked: the loss that remains is {left}, and nothing tested explains it.{moved}"
        return "inconclusive", reason, _decider(hypothesis, outcome)
    if helped:
        return "refuted", "Its repair moves the loss by no more than the same search finds on sound models.", ""
    return "refuted", "No signature, and no repair of it helps, alone or on top of the accepted ones.", ""


def _decider(hypothesis: Hypothesis, outcome: Outcome) -> str:
    if outcome.can_take:
        return "Repair what the other findings name first; then compare this part with the reference layer by layer."
    return hypothesis.without_reference or "A reference checkpoint."
