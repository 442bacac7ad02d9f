"""What a conclusion is drawn from, as numbers, and the few questions that its rows ask of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diag.hypotheses.gain import Gain
from diag.results.diagnosis import ReferenceKind
from diag.results.ruler import Loss, claim_in_other_unit
from diag.results.thresholds import CLAIM_TOLERANCE, EXPECTED_NATS, LEFT_SHARE, MATERIAL_SE
from diag.units import Claim, bits


@dataclass(frozen=True)
class Suspect:
    """What may be wrong and no repair decides: the hypothesis it speaks for, a sentence that names the place, the
    tensor concerned, if it is one, and whether that is certain, as values that are not there."""

    id: str
    detail: str
    tensor: str | None = None
    certain: bool = False


@dataclass(frozen=True)
class Facts:
    """What the conclusion is drawn from. Losses in nats.

    kind, tolerance, excess: of a reference that vouches; None without one. expected: the loss that was promised.
    joint_*: the accepted repairs by hypothesis and by name, what they reach, and their share of the excess. suspects:
    the first one first. failed: tests that failed. data: the shard's audit in a word. untested: hypotheses that were
    not asked for. broken: whether the yardstick shows a broken model; None where it does not know. listed: differences
    that cost nothing. no_vouching: why a reference that was given decides nothing.
    """

    loss: Loss
    joint_ids: tuple[str, ...] = ()
    joint_names: tuple[str, ...] = ()
    joint_nats: float | None = None
    joint_stderr: float = 0.0
    joint_share: float | None = None
    kind: ReferenceKind | None = None
    reference_nats: float | None = None
    tolerance: float | None = None
    excess: Gain | None = None
    expected: float | None = None
    suspects: tuple[Suspect, ...] = ()
    failed: tuple[str, ...] = ()
    data: str = "ok"
    data_reason: str = ""
    untested: tuple[str, ...] = ()
    broken: bool | None = None
    yardstick: str = ""
    listed: str = ""
    no_vouching: str = ""
    doubt: str | None = None
    unit: str | None = None

    @property
    def nats(self) -> float:
        """The loss as loaded."""
        assert self.loss.nats is not None
        return self.loss.nats

    @property
    def noise(self) -> float:
        """Three standard errors of the loss, unpaired; 0 where there is none."""
        stderr = self.loss.stderr_nats
        return MATERIAL_SE.value * stderr if stderr is not None and math.isfinite(stderr) else 0.0

    @property
    def twin(self) -> bool:
        """Whether the reference can say healthy: it is the same model, up to rounding."""
        return self.kind in ("twin", "quantised")

    @property
    def rounded_away(self) -> bool:
        """A copy rounded so far that it predicts no better than one id of context: what the rounding explains, it does
        not excuse."""
        border = self.loss.ruler.border_nats
        return self.kind == "quantised" and border is not None and not self.nats < border and not self.exceeds

    @property
    def met(self) -> bool:
        """The loss is what a twin, or what was promised, says it must be."""
        if self.twin and not self.rounded_away and self.excess is not None and self.tolerance is not None:
            delta, stderr = self.excess.delta, self.excess.stderr or 0.0
            if delta is not None and delta + MATERIAL_SE.value * stderr <= self.tolerance:
                return True
        return self.expected is not None and self.nats <= self.expected + max(self.noise, EXPECTED_NATS.value)

    @property
    def exceeds(self) -> bool:
        """The loss is higher than the reference, or what was promised, allows."""
        if self.expected is not None and self.kind is None:
            return not self.nats <= self.expected + max(self.noise, EXPECTED_NATS.value)
        if self.excess is None or self.tolerance is None:
            return False
        if self.excess.delta is None:
            return self.excess.material
        return self.excess.delta > max(self.tolerance, MATERIAL_SE.value * (self.excess.stderr or 0.0))

    def below_border(self, nats: float, noise: float) -> bool:
        """Whether a loss lies below the bigram's border by more than the noise; never where the border is unknown."""
        border = self.loss.ruler.border_nats
        return border is not None and math.isfinite(nats) and nats + noise < border

    @property
    def cured(self) -> bool:
        """Whether the joint set leaves nothing to find."""
        if self.joint_nats is None or not math.isfinite(self.joint_nats):
            return False
        if self.kind is not None and self.reference_nats is not None and self.tolerance is not None and self.exceeds:
            left = self.joint_nats - self.reference_nats
            whole = self.nats - self.reference_nats
            return left <= max(self.tolerance, LEFT_SHARE.value * whole if math.isfinite(whole) else 0.0)
        if self.expected is not None:
            return self.joint_nats <= self.expected + max(self.noise, EXPECTED_NATS.value)
        return self.below_border(self.joint_nats, MATERIAL_SE.value * self.joint_stderr) and not self.suspects

    @property
    def trusted(self) -> bool:
        """Whether the loss itself raises no doubt: it is met, or a relative or the bigram allows it."""
        if self.met:
            return True
        if self.twin and not self.rounded_away:
            return not self.exceeds
        return self.below_border(self.nats, self.noise) and not self.exceeds


@dataclass(frozen=True)
class OneLater:
    """The loss of predicting the id after the next one, with its standard error (NaN for one sequence), nats."""

    nats: float
    stderr: float
    sequences: int


def claim_facts(claim: Claim | None, loss: Loss, one_later: OneLater | None = None) -> tuple[str | None, str | None]:
    """(the sentence about a claim that the recomputed loss does not bear out, that about its unit); None for each where
    there is nothing to say. `one_later` tells whether the claim is the loss with its labels shifted twice."""
    if claim is None or loss.nats is None or not math.isfinite(loss.nats):
        return None, None
    unit = claim_in_other_unit(claim, loss.nats)
    if _agrees(claim, loss.nats, loss.stderr_nats):
        return None, unit
    said = f"The claim is {claim.nats:.4g} nats ({bits(claim.nats):.4g} bits)"
    said = f"{said}, and the same window recomputed here gives {loss.nats:.3f} nats."
    if one_later and _agrees(claim, one_later.nats, one_later.stderr):
        noise = f" ± {one_later.stderr:.2g}" if math.isfinite(one_later.stderr) else ""
        said += (
            f" Where the id after the next one is predicted, this checkpoint gives {one_later.nats:.4g}{noise} nats "
            f"(n = {one_later.sequences} sequences), which is the claim: its labels were shifted twice."
        )
    return said, unit


def _agrees(claim: Claim, nats: float, stderr: float | None) -> bool:
    noise = MATERIAL_SE.value * stderr if stderr and math.isfinite(stderr) else 0.0
    return abs(claim.nats - nats) <= max(CLAIM_TOLERANCE.value, noise)
