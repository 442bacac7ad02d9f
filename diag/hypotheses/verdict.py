"""The rules that turn gains into words (docs/verdicts.md). Pure functions of numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diag.hypotheses.base import Hypothesis
from diag.hypotheses.gain import Gain
from diag.results.diagnosis import Conclusion
from diag.results.finding import Signature, Status
from diag.results.ruler import Loss, Zone, claim_in_other_unit
from diag.results.thresholds import CLAIM_TOLERANCE, CONFIRM_SHARE, EXPLAIN_SHARE, MATERIAL_NATS
from diag.units import Claim, bits

# Zones in which a loss is so bad that a further defect could hide behind it.
MASKING: tuple[Zone, ...] = ("no_better_than_unigram", "about_chance", "worse_than_chance", "not_finite")


MORE = "A window of more sequences: raise batches or batch-size."


@dataclass(frozen=True)
class Trial:
    """What the runs said of one hypothesis. Gains are those of its best own repair; None where it has none.

    alone, on_top: over the loaded checkpoint, and over the accepted repairs of the others. removal: what is lost when
    its members are taken out of the joint set; None when it has no member there.
    """

    alone: Gain | None
    on_top: Gain | None
    removal: Gain | None


@dataclass(frozen=True)
class Outcome:
    """What is known of the whole case when a single hypothesis is judged."""

    excess_material: bool
    loss_finite: bool
    joint_ids: tuple[str, ...]
    joint_share: float | None
    final_zone: Zone
    has_reference: bool
    sequences: int = 2

    @property
    def joint_recovers_half(self) -> bool:
        """The joint set recovers at least half; from a loss that is not finite, any finite one below chance does."""
        if not self.loss_finite:
            return bool(self.joint_ids)
        return self.joint_share is not None and self.joint_share >= CONFIRM_SHARE.value

    @property
    def masked(self) -> bool:
        """A loss remains that nothing explains and behind which a defect could hide."""
        return self.final_zone in MASKING


def judge(hypothesis: Hypothesis, signature: Signature, trial: Trial, outcome: Outcome) -> tuple[Status, str, str]:
    """(status, reason, what would decide it) for one hypothesis."""
    if outcome.sequences < 2 and not signature.excluded:
        return "inconclusive", "One sequence has no standard error, so no difference can be told from noise.", MORE
    helped = any(g is not None and g.material for g in (trial.alone, trial.on_top))
    unsigned = "" if signature.present else " No signature was seen; the loss alone says so."
    if hypothesis.id in outcome.joint_ids:
        assert trial.removal is not None
        if outcome.joint_recovers_half and trial.removal.material:
            return "confirmed", f"Its repair belongs to the smallest set that cures the loss.{unsigned}", ""
        return "contributing", f"Its repair helps, and less than half of the excess is recovered.{unsigned}", ""
    if outcome.excess_material and trial.on_top and trial.on_top.material and not outcome.masked:
        return "contributing", f"Its repair helps on top of the accepted ones as well.{unsigned}", ""
    if helped and not (trial.on_top and trial.on_top.material) and (outcome.joint_ids or not outcome.masked):
        by = ", ".join(outcome.joint_ids)
        reason = (
            f"Explained by {by}: on top of that, its repair adds nothing material."
            if by
            else "Its repair changes the loss, and there is no material excess to explain."
        )
        return "present" if signature.present else "refuted", reason, ""
    if signature.present:
        if trial.alone is None or (signature.needs_reference and not outcome.has_reference):
            reason = (
                "The signature is there, and no repair follows from it: it names no tensor to take from the reference."
                if outcome.has_reference
                else "The signature is there, and what was lost can only come from a reference."
            )
            return "inconclusive", reason, _decider(hypothesis, outcome)
        return "present", "The signature is there, and no repair of it changes the loss materially.", ""
    if signature.excluded:
        return "refuted", "The file leaves no room for it.", ""
    if outcome.masked:
        moved = " Its best repair moves the loss and does not bring it below the unigram." if helped else ""
        return (
            "inconclusive",
            f"Masked: the loss that remains is no better than the unigram, and nothing tested explains it.{moved}",
            _decider(hypothesis, outcome),
        )
    return "refuted", "No signature, and no repair of it helps, alone or on top of the accepted ones.", ""


def _decider(hypothesis: Hypothesis, outcome: Outcome) -> str:
    if outcome.has_reference:
        return "Repair what the other findings name first; then compare this part with the reference layer by layer."
    return hypothesis.without_reference or "A reference checkpoint."


def claim_sentence(claim: Claim, loss_nats: float, stderr_nats: float | None) -> str | None:
    """The sentence about a claim that the recomputed loss does not bear out; None when it does."""
    tolerance = max(CLAIM_TOLERANCE.value, 3 * stderr_nats if stderr_nats and math.isfinite(stderr_nats) else 0.0)
    if abs(claim.nats - loss_nats) <= tolerance:
        return None
    return (
        f"The claim is {claim.nats:.4g} nats ({bits(claim.nats):.4g} bits), and the same window recomputed here gives "
        f"{loss_nats:.4g} nats."
    )


@dataclass(frozen=True)
class VerdictInputs:
    """What the conclusion is drawn from: the loss as loaded, what the joint set reaches (nats), and what was tested."""

    loss: Loss
    excess_material: bool
    joint_ids: tuple[str, ...]
    joint_loss: float | None
    joint_share: float | None
    final_zone: Zone
    tested: tuple[str, ...]
    undecided: tuple[str, ...]
    suspects: tuple[str, ...]

    @property
    def nats(self) -> float:
        """The loss as loaded."""
        assert self.loss.nats is not None
        return self.loss.nats

    @property
    def reference(self) -> float | None:
        """The reference's loss; None without one that can be used."""
        return self.loss.ruler.reference_nats


def conclude(s: VerdictInputs, claim: Claim | None) -> Conclusion:
    """The conclusion of a case whose data is sound. Unit errors and faults of the claimant's program come after
    the checkpoint has been found healthy, because a broken checkpoint explains more."""
    doubt = claim_sentence(claim, s.nats, s.loss.stderr_nats) if claim and math.isfinite(s.nats) else None
    unit = claim_in_other_unit(claim, s.nats) if claim else None
    if not s.excess_material and s.loss.zone == "plausible":
        return _healthy(s, unit, doubt)
    aside = f" {unit or doubt}" if unit or doubt else ""
    if not s.joint_ids or not s.excess_material:
        return Conclusion("unexplained", (), _unexplained(s) + aside)
    names, verb = " + ".join(s.joint_ids), "explains" if len(s.joint_ids) == 1 else "explain"
    cured = (
        f"{s.nats:.3f} → {s.joint_loss:.3f} nats" if math.isfinite(s.nats) else f"not finite → {s.joint_loss:.3f} nats"
    )
    if s.reference is None:
        done = s.final_zone in ("plausible", "too_good")
        tail = " No reference: measured against the lowest loss that any repair reached."
    else:
        done = s.joint_share >= EXPLAIN_SHARE.value if s.joint_share is not None else s.final_zone == "plausible"
        tail = f" The reference reaches {s.reference:.3f} nats."
    part = "" if s.joint_share is None else f", {min(s.joint_share, 1):.0%} of the excess"
    if done:
        return Conclusion("explained", s.joint_ids, f"{names} {verb} it: {cured}{part}.{tail}{aside}")
    return Conclusion(
        "partly_explained", s.joint_ids, f"{names} {verb} a part: {cured}{part}; the rest is open.{tail}{aside}"
    )


def _healthy(s: VerdictInputs, unit: str | None, doubt: str | None) -> Conclusion:
    beside = "" if s.reference is None else f", against {s.reference:.3f} of the reference"
    if unit:
        return Conclusion("unit", (), f"{unit} The checkpoint is healthy at {s.nats:.3f} nats{beside}.")
    if doubt:
        return Conclusion(
            "runtime",
            (),
            f"{doubt} The checkpoint is healthy here, so the fault is in the program that produced the claim.",
        )
    return Conclusion(
        "healthy", (), f"Healthy: {s.nats:.3f} nats is plausible for this data{beside}; nothing to repair."
    )


def _unexplained(s: VerdictInputs) -> str:
    if s.loss.zone == "too_good":
        return f"{s.nats:.3f} nats is too good for this data: suspect that the model has seen it, or a leak of targets."
    if s.loss.sequences < 2:
        return f"{s.nats:.3f} nats on a single sequence: without a standard error nothing can be decided. {MORE}"
    if not s.excess_material and s.reference is not None:
        if s.reference >= s.nats - MATERIAL_NATS.value:
            return (
                f"The loss of {s.nats:.3f} nats is implausible, and the reference ({s.reference:.3f}) is no better: "
                "check the tokenizer and the reference."
            )
        return (
            f"The loss of {s.nats:.3f} nats stands against {s.reference:.3f} of the reference, and {s.loss.sequences} "
            "sequence(s) are too few to tell the difference from noise: ask for more."
        )
    text = f"No repair of {', '.join(s.tested) or 'anything'} explains the loss of {s.nats:.3f} nats."
    if s.suspects:
        text += (
            f" First suspect: {', '.join(s.suspects)}, whose signature is there and which only a reference can test."
        )
    masked = [i for i in s.undecided if i not in s.suspects]
    return text + (f" Masked until then: {', '.join(masked)}." if masked else "")
