"""Nats, bits, perplexity, and the ruler that every loss is held against.

Everything inside Subrandom is nats. Bits and perplexity exist only at the edge, next to the nats they came from:
a loss of 19.80 nats was once compared with 17.21, which is log2 of the vocabulary, in bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

LN2 = math.log(2.0)

Zone = Literal["too_good", "plausible", "no_better_than_unigram", "about_chance", "worse_than_chance", "not_finite"]
GateWord = Literal["PASS", "FAIL", "VOID", "UNKNOWN"]
LossUnit = Literal["nats", "bits", "unknown"]

# How near to ln V a loss must be to be called chance, and how far below the unigram is too good to be true.
ABOUT_CHANCE_NATS = 0.05
TOO_GOOD_SHARE = 0.1
# A claim agrees with a recomputed loss, or with its conversion, within this many nats (cli.md, `matches`).
CLAIM_TOLERANCE_NATS = 0.02

ZONE_WORDS: dict[Zone, str] = {
    "too_good": "too good for this data",
    "plausible": "plausible",
    "no_better_than_unigram": "no better than the unigram",
    "about_chance": "about chance",
    "worse_than_chance": "worse than chance",
    "not_finite": "not finite",
}


def bits(nats: float) -> float:
    """The same quantity in bits."""
    return nats / LN2


def perplexity(nats: float) -> float:
    """exp(loss); infinite where the float would overflow (above 709 nats), NaN for NaN."""
    return math.inf if nats >= 709 else math.exp(nats)


def bits_per_byte(nats_per_token: float, bytes_per_token: float) -> float | None:
    """Σ nats / (ln 2 × Σ bytes of the target tokens), from means per token: the only loss that compares across
    tokenizers. None where the tokens stand for no text."""
    return bits(nats_per_token) / bytes_per_token if bytes_per_token > 0 else None


@dataclass(frozen=True)
class Ruler:
    """The marks one loss axis carries, all in nats.

    chance_nats: ln(embedding rows). unigram_nats: cross-entropy of the window's targets under the counts of the
    rest of the shard, add-½ smoothed. reference_nats: the reference checkpoint on the same window, if there is one.
    bigram_nats: what the id before each target predicts, learnt from the rest of the shard, if there is any. A mark
    only: zones and the gate go by the counts.
    """

    chance_nats: float
    unigram_nats: float
    reference_nats: float | None = None
    bigram_nats: float | None = None


def zone(loss_nats: float, ruler: Ruler) -> Zone:
    """Where on the ruler a loss lies. Chance is decided before the counts, so a degenerate shard cannot hide it."""
    if not math.isfinite(loss_nats):
        return "not_finite"
    if loss_nats > ruler.chance_nats + ABOUT_CHANCE_NATS:
        return "worse_than_chance"
    if loss_nats >= ruler.chance_nats - ABOUT_CHANCE_NATS:
        return "about_chance"
    if loss_nats >= ruler.unigram_nats:
        return "no_better_than_unigram"
    if loss_nats < TOO_GOOD_SHARE * ruler.unigram_nats:
        return "too_good"
    return "plausible"


def skill(loss_nats: float, unigram_nats: float) -> float | None:
    """1 − L / unigram: 0 for a model that knows the unigram only, 1 for a perfect one, negative below counts."""
    return 1.0 - loss_nats / unigram_nats if unigram_nats > 0 and math.isfinite(loss_nats) else None


def gate_word(below: float, loss_nats: float | None, null_models_nats: tuple[float, ...]) -> GateWord:
    """Judge the gate "loss < below". VOID when a predictor without context passes it on the same tokens."""
    if any(null < below for null in null_models_nats):
        return "VOID"
    if loss_nats is None:
        return "UNKNOWN"
    return "PASS" if loss_nats < below else "FAIL"


@dataclass(frozen=True)
class Claim:
    """A loss that somebody else reported, with the unit they gave it."""

    loss: float
    unit: LossUnit = "nats"

    @property
    def nats(self) -> float:
        """The claim in nats; an unknown unit is read as nats, which is what trainers print."""
        return self.loss * LN2 if self.unit == "bits" else self.loss


def claim_in_other_unit(claim: Claim, loss_nats: float, tolerance_nats: float = CLAIM_TOLERANCE_NATS) -> str | None:
    """The sentence that names a unit error, or None.

    A claim is a unit error when it misses the recomputed loss as stated but meets it once multiplied by ln 2
    (0.6931, bits read as nats) or by 1/ln 2 (1.4427, nats read as bits). Tolerances are in nats of the loss.
    """
    if not math.isfinite(loss_nats) or not math.isfinite(claim.nats):
        return None
    if abs(claim.nats - loss_nats) <= tolerance_nats:
        return None
    given = "no unit was given" if claim.unit == "unknown" else f"it was given in {claim.unit}"
    for factor in (LN2, 1 / LN2):
        if abs(claim.nats * factor - loss_nats) <= tolerance_nats:
            return (
                f"The claim is {claim.nats / loss_nats:.4f} × the recomputed loss: {claim.loss:g} fits if it is "
                f"{_MISREAD[claim.unit == 'bits', factor > 1]}; {given}."
            )
    return None


# (given in bits, claim too small) → what the claimed number really is.
_MISREAD = {
    (False, False): "in bits",
    (False, True): "in nats and was multiplied by ln 2 once too often",
    (True, False): "in bits and was divided by ln 2 once too often",
    (True, True): "in nats",
}
