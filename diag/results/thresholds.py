"""Every number that a verdict depends on, with where it comes from. Records carry this table."""

from __future__ import annotations

from diag.results import thresholds_checkpoints, thresholds_shards
from diag.results.threshold import Threshold

MATERIAL_SE = Threshold(3.0, "standard errors", "product definition: Δ > 3 SE, paired per sequence")
MATERIAL_NATS = Threshold(0.02, "nats", "product definition: an eps mismatch of 10× costs 0.012 (llama.cpp #2373)")
CONFIRM_SHARE = Threshold(0.5, "of the excess", "product definition: an own repair recovers at least half")
LEFT_SHARE = Threshold(0.02, "of the excess", "product definition: what an explained case may leave")
TWIN_NATS = Threshold(0.02, "nats", "product definition: the tolerance of a twin")
ESTIMATED_ROUNDING = Threshold(3.0, "times the estimate", "docs/verdicts.md: grids of unknown make cost 0.2 to 2.7")
RELATIVE_SHARE = Threshold(0.05, "of (unigram - reference)", "product definition: the tolerance of a relative")
EXPECTED_NATS = Threshold(0.05, "nats", "product definition: over an expected loss, or 3 standard errors")
ACCIDENT_NATS = Threshold(0.3, "nats", "docs/zoo.md: above what the same search finds by accident, 99.5th percentile")
ACCIDENT_SWEEP = Threshold(1.0, "nats", "docs/zoo.md: a norm before attention makes up for another defect by up to 0.8")
ACCIDENT_ROTARY = Threshold(0.15, "nats", "docs/zoo.md: another base or scaling gains 0.11 by accident at most")
ACCIDENT_BESIDE = Threshold(4.0, "nats", "docs/zoo.md: a gain by accident beside a certain defect reached 3.0")
LOCALISED_NATS = Threshold(0.1, "nats", "skipping a block of a sound model never lowers its loss by this")
LOCALISED_LEAD = Threshold(2.0, "times the next block's gain", "measured: docs/hypotheses/h4d-residual-stream.md")
LOCALISED_PARTS = Threshold(3, "parts", "whose damping is measured with its error, of all that are screened")
LOCALISED_SEQUENCES = Threshold(16, "sequences", "of the window, that the named part is measured on")
GROWS_NATS = Threshold(0.1, "nats", "least by which a difference must grow from the first position to the last half")
GROWS_FROM = Threshold(0.05, "of the difference", "wrong angles cost 0 at the first, a wrong head 0.4")
SCREEN_NATS = Threshold(0.01, "nats", "half of the material floor: what screens below it is not evaluated in full")
SCREEN_SEQUENCES = Threshold(4, "sequences", "smallest screening subset; an eighth of the window where that is more")
JOINT_SIZE = Threshold(6, "repairs", "largest joint set that is searched")
STARTS = Threshold(4, "repairs", "starting points that the search tries again from, behind a mask")
HOPELESS_NATS = Threshold(0.5, "nats", "a repair that costs this much on half the screening subset is dropped there")
FULL_PER_ROUND = Threshold(4, "repairs", "most promising repairs that a round evaluates on the full window")
FULL_ALONE = Threshold(3, "repairs", "most promising repairs of a hypothesis that are shown with full-window losses")
COUNTED = Threshold(10.0, "occurrences", "of an id, from where its logarithm is known to about a third")
HEAD_FITS = Threshold(
    0.4, "correlation", "sound models on text they do not know 0.41 to 0.83; rows moved by 3: to 0.34"
)
HEAD_LOST = Threshold(0.25, "correlation", "the embedding of an untied model as its head: 0.04 to 0.14 (5 models)")
MARGINAL_LEAD = Threshold(0.1, "correlation", "nine sound models fit best as stored; rows moved by 3 lead by 0.23")
ROWS_ALIGNED = Threshold(4.0, "standard errors", "sound untied models 5.0 to 19, with rows moved 0.0 to 3.4")
ROWS_FOUND = Threshold(3e-3, "probability", "by chance somewhere: 5.5 standard errors of 150,000 places, 4.8 of 4,096")
LISTED_DIFFERENCES = Threshold(16, "differences", "most that are measured one by one where nothing is to be explained")
ABOUT_CHANCE = Threshold(0.05, "nats", "product definition: this near to ln V a loss is called chance")
TOO_GOOD = Threshold(0.1, "of the unigram", "product definition: below it a loss is an alarm, as one near 0 once was")
YARDSTICK_PARAMETERS = Threshold(100e6, "parameters", "product definition: smaller models are of one kind of text")
YARDSTICK_SOUND = Threshold(1.5, "bits per byte", "three published models of 135 M to 494 M have 0.3 to 0.7")
YARDSTICK_BROKEN = Threshold(2.5, "bits per byte", "the same with planted defects have 2.6 to 8.9; pairing 1.8, 2.4")
CONTEXT_GAIN = Threshold(0.4, "nats", "over one id; nine sound models gain 0.8 and more on text that they never saw")
CONTEXT_POSITIONS = Threshold(128, "positions", "in 64 a sound model gained 0.70 ± 0.14 on DNA: too near to 0.4")
BEGINNING_NATS = Threshold(
    0.3, "nats", "Gemma 3 270M gains 2.8 on 64 positions from a BOS in front; docs/hypotheses/h0-data.md"
)
DIVERGES_FLOOR = Threshold(10.0, "noise floors", "docs/divergence.md: another attention kernel reaches 2.1")
DIVERGES_SIBLINGS = Threshold(10.0, "times the same role in other layers", "docs/divergence.md: fine-tunes reach 6.5")
DIVERGES_KIND = Threshold(30.0, "times the median role of its kind", "docs/divergence.md: fine-tunes reach 5")
DIVERGES_WHOLLY = Threshold(
    0.5, "of the output", "docs/divergence.md: fine-tunes reach 0.1, misread matrices 1.2 to 1.4"
)
LENS_RISE = Threshold(0.5, "nats", "from one layer to the next; nine sound models rise by 0.19 at most")
CLAIM_TOLERANCE = Threshold(0.02, "nats", "product definition: a claim agrees with a recomputed loss within this")
REPRODUCES_NATS = Threshold(0.02, "nats", "product definition: how near an injected defect gives a claim")
INJECTED_WINDOW = Threshold(4096, "tokens", "from where the search for injected defects goes on a part of the window")
INJECTED_BUDGET = Threshold(150_000, "tokens", "of all sets together, on a part of the window after the first")
INJECTED_KEPT = Threshold(24, "sets", "nearest to the claim, fewest that a step keeps")
INJECTED_GUIDES = Threshold(9, "sets", "alone, near the claim: they show how a part tells a large window")
INJECTED_QUICK = Threshold(0.12, "nats", "bf16 without the attention scale is 0.07 and 0.10 off on 2,048 tokens (demo)")
INJECTED_DIGIT = Threshold(
    1e-4, "nats", "a claim known within this: of 1,900 sets 0.06 give it by accident on the demo"
)
INJECTED_ROUNDING = Threshold(2e-5, "nats", "between two programs in float32: transformers' loss on the demo 1e-6")
INJECTED_DRAWN = Threshold(0.1, "nats", "four draws of a head of std 0.02 spread by 0.06 on the demo")
INJECTED_NOTHING = Threshold(1e-6, "nats", "on every sequence: rounding in another order")


def table() -> dict[str, dict[str, float | str]]:
    """The thresholds as plain data, for records and reports. Those of a shard's audit are called shard_…, those of
    weights checkpoint_…"""
    rooms = {"shard": thresholds_shards, "checkpoint": thresholds_checkpoints}
    named = {f"{room}_{name}": each for room, module in rooms.items() for name, each in vars(module).items()}
    named |= globals()
    return {
        name.lower(): {"value": t.value, "unit": t.unit, "source": t.source}
        for name, t in named.items()
        if isinstance(t, Threshold)
    }
