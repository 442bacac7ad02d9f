"""The verdict table, row by row, on losses that are written out: whatever the model, these numbers mean these words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from diag.hypotheses.gain import Gain, gain
from diag.hypotheses.registry import ABOUT_CHECKPOINT, by_id
from diag.hypotheses.verdict import Outcome, Trial, VerdictInputs, conclude, judge
from diag.results.finding import Signature
from diag.results.ruler import Loss, Ruler, claim_in_other_unit, judge_gate, skill, zone
from diag.units import Claim, bits, perplexity

CHANCE = math.log(4096)
RULER = Ruler(CHANCE, 6.8, 3.2)
H4B = by_id("H4B")
SEEN, UNSEEN = Signature(True, "seen"), Signature(False, "unseen")
MATERIAL, NOTHING = Gain(1.0, 0.01, True), Gain(0.0, 0.01, False)


def outcome(**changes: object) -> Outcome:
    plain: dict = {
        "excess_material": True,
        "loss_finite": True,
        "joint_ids": (),
        "joint_share": None,
        "final_zone": "plausible",
        "has_reference": True,
    }
    return Outcome(**(plain | changes))


# Material -------------------------------------------------------------------------------------------------------------
def test_material_needs_three_standard_errors_and_two_hundredths_of_a_nat() -> None:
    noise = np.array([0.1, -0.1, 0.1, -0.1])
    before = np.full(4, 5.0)
    assert not gain(before, before - 0.05 + noise, CHANCE).material  # SE 0.0577: 0.05 is less than three of them
    assert gain(before, before - 0.20 + noise, CHANCE).material
    assert not gain(before, before - 0.019, CHANCE).material  # certain, and too small to matter
    assert gain(before, before - 0.021, CHANCE).material


def test_gain_is_paired_so_that_hard_sequences_do_not_drown_it() -> None:
    hard_and_easy = np.array([1.0, 9.0, 2.0, 8.0])
    measured = gain(hard_and_easy, hard_and_easy - 0.1, CHANCE)
    assert measured.delta == pytest.approx(0.1) and measured.stderr == pytest.approx(0.0, abs=1e-12)
    assert measured.material


def test_from_a_loss_that_is_not_finite_only_one_below_chance_counts() -> None:
    broken = np.array([math.nan, 3.0])
    assert gain(broken, np.array([4.0, 4.0]), CHANCE) == Gain(None, None, True)
    assert gain(broken, np.array([9.0, 9.0]), CHANCE) == Gain(None, None, False)
    assert gain(np.array([4.0, 4.0]), broken, CHANCE) == Gain(None, None, False)


def test_one_sequence_has_no_standard_error_and_decides_nothing() -> None:
    assert not gain(np.array([9.0]), np.array([1.0]), CHANCE).material


# Status ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("signature", "trial", "result", "status"),
    [
        (UNSEEN, Trial(MATERIAL, None, MATERIAL), outcome(joint_ids=("H4B",), joint_share=0.5), "confirmed"),
        (SEEN, Trial(MATERIAL, None, MATERIAL), outcome(joint_ids=("H4B",), joint_share=0.49), "contributing"),
        (SEEN, Trial(MATERIAL, MATERIAL, MATERIAL), outcome(joint_ids=("H4A", "H4B"), joint_share=1), "confirmed"),
        (SEEN, Trial(MATERIAL, NOTHING, None), outcome(joint_ids=("H4A",), joint_share=1.0), "present"),
        (UNSEEN, Trial(MATERIAL, NOTHING, None), outcome(joint_ids=("H4A",), joint_share=1.0), "refuted"),
        (UNSEEN, Trial(NOTHING, MATERIAL, None), outcome(joint_ids=("H4A",), joint_share=0.9), "contributing"),
        (
            UNSEEN,
            Trial(MATERIAL, MATERIAL, None),
            outcome(joint_ids=("H4A",), joint_share=0.6, final_zone="about_chance"),
            "inconclusive",
        ),
        (SEEN, Trial(Gain(7.1, math.nan, False), None, None), outcome(sequences=1), "inconclusive"),
        (SEEN, Trial(NOTHING, None, None), outcome(), "present"),
        (UNSEEN, Trial(NOTHING, NOTHING, None), outcome(), "refuted"),
        (UNSEEN, Trial(None, None, None), outcome(), "refuted"),
        (SEEN, Trial(MATERIAL, None, None), outcome(excess_material=False), "present"),
        (UNSEEN, Trial(NOTHING, None, None), outcome(final_zone="about_chance"), "inconclusive"),
        (
            Signature(False, "", excluded=True),
            Trial(None, None, None),
            outcome(final_zone="not_finite"),
            "refuted",
        ),
        (SEEN, Trial(None, None, None), outcome(has_reference=False), "inconclusive"),
        (
            Signature(True, "", needs_reference=True),
            Trial(NOTHING, None, None),
            outcome(has_reference=False),
            "inconclusive",
        ),
        (
            UNSEEN,
            Trial(None, MATERIAL, MATERIAL),
            outcome(loss_finite=False, joint_ids=("H4B",)),
            "confirmed",
        ),
    ],
)
def test_status(signature: Signature, trial: Trial, result: Outcome, status: str) -> None:
    assert judge(H4B, signature, trial, result)[0] == status


def test_an_explained_hypothesis_says_by_which_other() -> None:
    trial = Trial(MATERIAL, NOTHING, None)
    assert "Explained by H4A" in judge(H4B, SEEN, trial, outcome(joint_ids=("H4A",), joint_share=1.0))[1]


def test_too_few_sequences_are_not_taken_for_a_bad_reference() -> None:
    broken = {"loss": 12.6, "zone": "worse_than_chance", "final_zone": "worse_than_chance", "sequences": 3}
    assert "too few" in conclude(inputs(**broken, reference=3.2), None).text
    assert "single sequence" in conclude(inputs(**broken | {"sequences": 1}, reference=3.2), None).text
    assert "no better" in conclude(inputs(**broken, reference=12.59), None).text


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        (Claim(bits(3.2)), "in bits; it was given in nats"),
        (Claim(bits(3.2), "unknown"), "in bits; no unit was given"),
        (Claim(3.2, "bits"), "in nats; it was given in bits"),
        (Claim(bits(bits(3.2)), "bits"), "divided by ln 2 once too often; it was given in bits"),
        (Claim(3.2 * math.log(2)), "multiplied by ln 2 once too often; it was given in nats"),
    ],
)
def test_a_unit_error_says_what_the_number_is_and_what_was_said(claim: Claim, says: str) -> None:
    assert says in (claim_in_other_unit(claim, 3.2) or "")


def test_an_inconclusive_hypothesis_says_what_would_decide_it() -> None:
    for h in ABOUT_CHECKPOINT:
        decider = judge(h, SEEN, Trial(None, None, None), outcome(has_reference=False))[2]
        assert "reference" in decider


# Conclusion -----------------------------------------------------------------------------------------------------------
def inputs(**changes: object) -> VerdictInputs:
    of_loss: dict = {"loss": 3.2, "stderr": 0.05, "zone": "plausible", "reference": None, "sequences": 2}
    of_loss |= {key: changes.pop(key) for key in of_loss if key in changes}
    loss = Loss(
        of_loss["loss"],
        of_loss["stderr"],
        tokens=512,
        sequences=of_loss["sequences"],
        zone=of_loss["zone"],
        ruler=Ruler(CHANCE, 6.8, of_loss["reference"]),
    )
    plain: dict = {
        "excess_material": False,
        "joint_ids": (),
        "joint_loss": None,
        "joint_share": None,
        "final_zone": "plausible",
        "tested": ("H4A", "H4B"),
        "undecided": (),
        "suspects": (),
    }
    return VerdictInputs(loss, **(plain | changes))


BROKEN = {"loss": 12.6, "zone": "worse_than_chance", "excess_material": True, "reference": 3.2, "joint_ids": ("H4A",)}


@pytest.mark.parametrize(
    ("changes", "claim", "kind"),
    [
        ({}, None, "healthy"),
        ({}, Claim(3.3), "healthy"),  # within three standard errors
        ({}, Claim(19.8), "runtime"),
        ({}, Claim(0.0008), "runtime"),  # near zero is as much an alarm as above chance
        ({}, Claim(bits(3.2)), "unit"),
        ({}, Claim(bits(3.2), "bits"), "healthy"),
        ({}, Claim(3.2, "bits"), "unit"),
        ({"zone": "too_good"}, None, "unexplained"),
        ({"zone": "about_chance", "final_zone": "about_chance"}, None, "unexplained"),
        (BROKEN | {"joint_loss": 3.9, "joint_share": 0.9}, None, "explained"),
        (BROKEN | {"joint_loss": 4.2, "joint_share": 0.89}, None, "partly_explained"),
        (BROKEN | {"joint_ids": (), "final_zone": "worse_than_chance"}, None, "unexplained"),
        (BROKEN | {"reference": None, "joint_loss": 3.2, "joint_share": 1.0}, None, "explained"),
        (
            BROKEN | {"reference": None, "joint_loss": 7.0, "joint_share": 1.0, "final_zone": "no_better_than_unigram"},
            None,
            "partly_explained",
        ),
    ],
)
def test_conclusion(changes: dict, claim: Claim | None, kind: str) -> None:
    concluded = conclude(inputs(**changes), claim)
    assert concluded.kind == kind
    assert concluded.hypotheses == (("H4A",) if kind in ("explained", "partly_explained") else ())


# Units ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("loss", "word"),
    [
        (math.nan, "not_finite"),
        (math.inf, "not_finite"),
        (CHANCE + 0.051, "worse_than_chance"),
        (CHANCE + 0.049, "about_chance"),
        (CHANCE - 0.049, "about_chance"),
        (CHANCE - 0.051, "no_better_than_unigram"),
        (6.8, "no_better_than_unigram"),
        (6.79, "plausible"),
        (0.68, "plausible"),
        (0.679, "too_good"),
    ],
)
def test_zone_edges(loss: float, word: str) -> None:
    assert zone(loss, RULER) == word


@pytest.mark.parametrize(
    ("loss", "word"),
    [
        (6.8, "no_better_than_unigram"),
        (6.79, "no_better_than_bigram"),
        (4.4, "no_better_than_bigram"),
        (4.39, "plausible"),  # between the border and the bigram: the border belongs to the conclusion
        (0.679, "too_good"),
    ],
)
def test_zone_edges_with_a_bigram(loss: float, word: str) -> None:
    assert zone(loss, replace(RULER, bigram_nats=4.4, border_nats=4.3)) == word


def test_a_loss_that_a_bigram_reaches_is_not_too_good() -> None:
    assert zone(0.02, replace(RULER, bigram_nats=0.01)) == "no_better_than_bigram"


def test_the_report_that_started_this_compared_nats_with_bits() -> None:
    assert bits(math.log(151_643)) == pytest.approx(17.21, abs=0.005)
    assert claim_in_other_unit(Claim(17.21), math.log(151_643)) is not None
    assert claim_in_other_unit(Claim(17.22), 17.22) is None


def gate_word(*args: object) -> str | None:
    judged = judge_gate(*args)  # type: ignore[arg-type]
    return judged.word if judged else None


def test_gate_words() -> None:
    assert judge_gate(None, 3.2, (5.14,)) is None
    assert gate_word(9.38, 3.2, (5.14, 7.0)) == "VOID"  # the unigram alone passes it
    assert gate_word(9.38, 3.2, (11.0, 0.001)) == "VOID"  # the most frequent id alone passes it
    assert gate_word(4.0, 3.2, (5.14,)) == "PASS"
    assert gate_word(4.0, 4.0, (5.14,)) == "FAIL"
    assert gate_word(4.0, None, (5.14,)) == "UNKNOWN"


def test_skill_and_perplexity() -> None:
    assert skill(0.000758, 0.000652) == pytest.approx(-0.16, abs=0.005)
    assert perplexity(math.log(50.0)) == pytest.approx(50.0)
    assert perplexity(1e6) == math.inf
