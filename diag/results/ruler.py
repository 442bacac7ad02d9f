"""The ruler that every loss is held against, and the words for where on it a loss lies. All in nats."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from diag.results.thresholds import ABOUT_CHANCE, CLAIM_TOLERANCE, TOO_GOOD
from diag.units import LN2, Claim

Zone = Literal[
    "too_good",
    "plausible",
    "no_better_than_bigram",
    "no_better_than_unigram",
    "about_chance",
    "worse_than_chance",
    "not_finite",
]
GateWord = Literal["PASS", "FAIL", "VOID", "UNKNOWN"]

ZONE_WORDS: dict[Zone, str] = {
    "too_good": "too good for this data",
    "plausible": "plausible",
    "no_better_than_bigram": "no better than the bigram",
    "no_better_than_unigram": "no better than the unigram",
    "about_chance": "about chance",
    "worse_than_chance": "worse than chance",
    "not_finite": "not finite",
}


def zone_words(zone: str | None) -> str | None:
    """A zone as people say it; a word of another version as it stands."""
    return dict[str, str](ZONE_WORDS.items()).get(zone, zone) if zone else None


@dataclass(frozen=True)
class Ruler:
    """The marks one loss axis carries, all in nats; null where a mark is not known.

    chance_nats: ln(embedding rows). unigram_nats: cross-entropy of the window's targets under the counts of the
    rest of the shard, add-½ smoothed; null while the window holds ids without an embedding row. reference_nats: the
    reference checkpoint on the same window, if there is one. bigram_nats: what the id before each target predicts,
    learnt from the rest of the shard, if there is any; never above the unigram. border_nats: what the bigram would
    come to with more ids, about: below it a model surely uses more than one id of context. Null where the shard is too
    small to tell, and border_note says why. Gates and skill go by the unigram.
    """

    chance_nats: float
    unigram_nats: float | None
    reference_nats: float | None = None
    bigram_nats: float | None = None
    border_nats: float | None = None
    border_note: str = ""

    @property
    def unigram_mark(self) -> float:
        """The unigram; while it is not known, chance."""
        return self.chance_nats if self.unigram_nats is None else self.unigram_nats


def zone(loss_nats: float, ruler: Ruler) -> Zone:
    """Where on the ruler a loss lies. Chance is decided before the unigram, so a degenerate shard cannot hide it, and
    the bigram before what is too good: on such a shard the bigram is that good."""
    if not math.isfinite(loss_nats):
        return "not_finite"
    if loss_nats > ruler.chance_nats + ABOUT_CHANCE.value:
        return "worse_than_chance"
    if loss_nats >= ruler.chance_nats - ABOUT_CHANCE.value:
        return "about_chance"
    if loss_nats >= ruler.unigram_mark:
        return "no_better_than_unigram"
    if ruler.bigram_nats is not None and loss_nats >= ruler.bigram_nats:
        return "no_better_than_bigram"
    if loss_nats < TOO_GOOD.value * ruler.unigram_mark:
        return "too_good"
    return "plausible"


def zone_bounds(ruler: Ruler, right_nats: float) -> tuple[tuple[Zone, float, float], ...]:
    """(zone, from, to) in nats of the zones that have any width on an axis from 0 to right_nats: what `zone` says."""
    low, high = ruler.chance_nats - ABOUT_CHANCE.value, ruler.chance_nats + ABOUT_CHANCE.value
    unigram = min(ruler.unigram_mark, low)
    bigram = unigram if ruler.bigram_nats is None else min(ruler.bigram_nats, unigram)
    good = min(TOO_GOOD.value * ruler.unigram_mark, bigram)
    bounds: tuple[tuple[Zone, float, float], ...] = (
        ("too_good", 0.0, good),
        ("plausible", good, bigram),
        ("no_better_than_bigram", bigram, unigram),
        ("no_better_than_unigram", unigram, low),
        ("about_chance", low, high),
        ("worse_than_chance", high, right_nats),
    )
    return tuple(one for one in bounds if one[2] - one[1] > 1e-9)


def skill(loss_nats: float, unigram_nats: float) -> float | None:
    """1 − L / unigram: 0 for a model that knows the unigram only, 1 for a perfect one, negative for a worse one."""
    return 1.0 - loss_nats / unigram_nats if unigram_nats > 0 and math.isfinite(loss_nats) else None


@dataclass(frozen=True)
class GateResult:
    """A gate "loss < below", judged. `below` in nats."""

    below: float
    word: GateWord


def judge_gate(below: float | None, loss_nats: float | None, null_models_nats: tuple[float, ...]) -> GateResult | None:
    """Judge the gate "loss < below"; None without one. VOID when a predictor without context passes it on the same
    tokens: then it measures the data. UNKNOWN while there is no loss."""
    if below is None:
        return None
    if any(null < below for null in null_models_nats):
        return GateResult(below, "VOID")
    if loss_nats is None:
        return GateResult(below, "UNKNOWN")
    return GateResult(below, "PASS" if loss_nats < below else "FAIL")


@dataclass(frozen=True)
class Loss:
    """A loss on its ruler: the one shape in which pages, reports, tables and verdicts read it.

    nats, stderr_nats: null when no loss could be computed; the standard error is NaN for a single sequence. tokens,
    sequences: the n of both. zone: where it lies. ruler: the marks. gate: the case's gate, judged; null without one.
    """

    nats: float | None
    stderr_nats: float | None
    tokens: int
    sequences: int
    zone: Zone | None
    ruler: Ruler
    gate: GateResult | None = None

    @property
    def skill(self) -> float | None:
        """1 − L / unigram; null without a loss or a unigram."""
        if self.nats is None or self.ruler.unigram_nats is None:
            return None
        return skill(self.nats, self.ruler.unigram_nats)


def claim_in_other_unit(claim: Claim, loss_nats: float, tolerance_nats: float = CLAIM_TOLERANCE.value) -> str | None:
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
