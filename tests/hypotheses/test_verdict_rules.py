"""The verdict table, row by row, on losses that are written out: whatever the model, these numbers mean these words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from diag.hypotheses.conclusion import conclude
from diag.hypotheses.facts import Facts, Suspect, claim_facts
from diag.hypotheses.gain import Gain, gain
from diag.hypotheses.registry import ABOUT_CHECKPOINT, by_id
from diag.hypotheses.verdict import Outcome, Trial, judge
from diag.results.diagnosis import NotExcluded
from diag.results.finding import Signature
from diag.results.ruler import Loss, Ruler, claim_in_other_unit, judge_gate, skill, zone
from diag.units import Claim, bits, perplexity

CHANCE = math.log(4096)
RULER = Ruler(CHANCE, 6.8, 3.2)
H4B = by_id("H4B")
SEEN, UNSEEN = Signature(True, "seen"), Signature(False, "unseen")
MATERIAL, SMALL, NOTHING = Gain(1.0, 0.01, True), Gain(0.05, 0.01, True), Gain(0.0, 0.01, False)


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
TWIN = Outcome(twin=True, exceeds=True, can_take=True)
MASKED = Outcome(masked=True, below_border=False)
LOST = Signature(True, "zero", needs_reference=True)


@pytest.mark.parametrize(
    ("signature", "trial", "result", "status"),
    [
        # with a twin: a member of the joint set, by the share that the set recovers
        (SEEN, Trial(removal=MATERIAL), replace(TWIN, joint_share=0.5), "confirmed"),
        (SEEN, Trial(removal=MATERIAL), replace(TWIN, joint_share=0.49), "contributing"),
        (SEEN, Trial(removal=NOTHING), replace(TWIN, joint_share=1.0), "contributing"),
        (UNSEEN, Trial(removal=MATERIAL), replace(TWIN, loss_finite=False, joint_ids=("H4B",)), "confirmed"),
        # with a twin, and not in it: eps off by ten times differs and costs nothing; what is odd in both is none
        (SEEN, Trial(differs=("eps",)), TWIN, "present"),
        (SEEN, Trial(), TWIN, "refuted"),
        # without one: backed by a signature, or beyond what is found by accident, and what remains below the border
        (SEEN, Trial(removal=MATERIAL, backed=True), Outcome(), "confirmed"),
        (SEEN, Trial(removal=SMALL, backed=True), Outcome(), "confirmed"),
        (UNSEEN, Trial(removal=MATERIAL), Outcome(), "confirmed"),
        (UNSEEN, Trial(removal=SMALL), Outcome(), "contributing"),  # eps 0.001 gained 0.03 nats on a sound model
        (UNSEEN, Trial(removal=MATERIAL, edge=True), Outcome(), "contributing"),
        # the end of a sweep never confirms, whatever stands behind it
        (SEEN, Trial(removal=MATERIAL, edge=True, backed=True), Outcome(), "contributing"),
        (SEEN, Trial(removal=MATERIAL, edge=True), replace(TWIN, joint_share=1.0), "contributing"),
        (SEEN, Trial(removal=MATERIAL, backed=True), MASKED, "contributing"),
        (SEEN, Trial(alone=MATERIAL, on_top=NOTHING), Outcome(joint_ids=("H4A",)), "present"),
        (UNSEEN, Trial(alone=MATERIAL, on_top=NOTHING), Outcome(joint_ids=("H4A",)), "refuted"),
        (SEEN, Trial(alone=NOTHING), Outcome(), "present"),
        # gains like an accident: no "costs nothing"
        (SEEN, Trial(alone=SMALL), Outcome(), "inconclusive"),
        (SEEN, Trial(alone=NOTHING), MASKED, "inconclusive"),
        (UNSEEN, Trial(alone=NOTHING), Outcome(), "refuted"),
        (UNSEEN, Trial(alone=NOTHING), MASKED, "inconclusive"),
        (UNSEEN, Trial(alone=SMALL), Outcome(), "refuted"),
        (SEEN, Trial(), Outcome(), "inconclusive"),
        (LOST, Trial(alone=NOTHING), Outcome(), "inconclusive"),
        (LOST, Trial(alone=MATERIAL, on_top=NOTHING), Outcome(joint_ids=("H4A",)), "inconclusive"),
        (LOST, Trial(alone=NOTHING), Outcome(can_take=True), "present"),
        (Signature(False, "", excluded=True), Trial(), MASKED, "refuted"),
        (UNSEEN, Trial(localised=("skip block 2", MATERIAL)), Outcome(), "inconclusive"),
        (UNSEEN, Trial(localised=("skip block 2", SMALL)), Outcome(), "refuted"),
        (SEEN, Trial(alone=Gain(7.1, math.nan, False)), Outcome(sequences=1), "inconclusive"),
    ],
)
def test_status(signature: Signature, trial: Trial, result: Outcome, status: str) -> None:
    assert judge(H4B, signature, trial, result)[0] == status


def test_an_explained_hypothesis_says_by_which_other() -> None:
    trial = Trial(alone=MATERIAL, on_top=NOTHING)
    assert "Explained by H4A" in judge(H4B, SEEN, trial, Outcome(joint_ids=("H4A",)))[1]


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
        assert "reference" in judge(h, SEEN, Trial(), Outcome())[2].lower()


# Conclusion -----------------------------------------------------------------------------------------------------------
def facts(nats: float = 3.2, *, border: float | None = 4.3, sequences: int = 16, **changes: object) -> Facts:
    ruler = Ruler(CHANCE, 6.8, None, 4.4, border)
    loss = Loss(nats, 0.02, tokens=512, sequences=sequences, zone=zone(nats, ruler), ruler=ruler)
    doubt, unit = claim_facts(changes.pop("claim", None), loss)  # type: ignore[arg-type]
    return Facts(loss, doubt=doubt, unit=unit, **changes)  # type: ignore[arg-type]


def over(delta: float | None, stderr: float = 0.001) -> Gain:
    return Gain(delta, stderr, True)


TWIN_OF = {"kind": "twin", "reference_nats": 3.2, "tolerance": 0.02}
RELATIVE_OF = {"kind": "relative", "reference_nats": 3.2, "tolerance": 0.18}
CURED = {"joint_ids": ("H4A",), "joint_nats": 3.21, "joint_stderr": 0.02}
ODD = (Suspect("H4D", "model.layers.2.mlp.down_proj.weight is zero everywhere."),)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        # nothing to compare with: the best word is that nothing was found, and only below the border
        (facts(), "no_defect_found"),
        (facts(4.3), "suspect"),  # "4.3 to 6.2 against 4.26 were healthy"
        (facts(4.25), "suspect"),  # within three standard errors of the border
        (facts(border=None), "suspect"),  # 5 000 ids of shard
        (facts(12.6), "suspect"),
        (facts(12.6, broken=True), "unexplained"),
        (facts(12.6, broken=False), "suspect"),
        (facts(0.5), "suspect"),  # too good
        (facts(suspects=ODD), "suspect"),
        (facts(failed=("H4C",)), "suspect"),
        (facts(data="suspect"), "suspect"),
        (facts(sequences=1), "suspect"),
        (facts(math.nan, broken=True), "unexplained"),
        (facts(12.6, **CURED), "explained"),
        (facts(12.6, **CURED | {"joint_nats": 4.27}), "partly_explained"),
        (facts(12.6, **CURED, suspects=ODD), "partly_explained"),
        # a twin
        (facts(3.205, excess=over(0.005), **TWIN_OF), "healthy"),
        (facts(3.205, excess=over(0.005, 0.006), **TWIN_OF), "no_defect_found"),  # too noisy to say met
        (facts(3.205, excess=over(0.005), **TWIN_OF, suspects=ODD), "suspect"),
        (facts(3.205, excess=over(0.005), **TWIN_OF, untested=("H4B",)), "no_defect_found"),
        (facts(3.205, excess=over(0.005), **TWIN_OF, data="suspect"), "suspect"),
        (facts(3.3, excess=over(0.1), **TWIN_OF), "unexplained"),
        (facts(12.6, excess=over(9.4), **TWIN_OF, **CURED, joint_share=0.99), "explained"),
        (
            facts(12.6, excess=over(9.4), **TWIN_OF, **CURED | {"joint_nats": 3.38}),
            "explained",
        ),  # 1.9 % of 9.4 are left
        (facts(12.6, excess=over(9.4), **TWIN_OF, **CURED | {"joint_nats": 3.40}), "partly_explained"),
        (facts(math.nan, excess=Gain(None, None, True), **TWIN_OF, **CURED), "explained"),
        (facts(3.27, excess=over(0.07), kind="quantised", reference_nats=3.2, tolerance=0.09), "healthy"),
        # a relative: a slightly better one says nothing, and it never says healthy
        (facts(3.3, excess=over(0.1), **RELATIVE_OF), "no_defect_found"),
        (facts(3.0, excess=over(-0.2), **RELATIVE_OF), "no_defect_found"),
        (facts(3.5, excess=over(0.3), **RELATIVE_OF), "unexplained"),
        (facts(3.3, excess=over(0.1), **RELATIVE_OF, joint_ids=("H4C",), joint_nats=3.2), "explained"),
        # an expected loss
        (facts(expected=3.2), "healthy"),
        (facts(3.26, expected=3.2), "healthy"),  # within three standard errors, 0.06
        (facts(3.27, expected=3.2), "unexplained"),
        (facts(5.0, expected=5.0), "healthy"),  # known to be so on this text
        (facts(12.6, expected=3.2, **CURED), "explained"),
        # a claim
        (facts(claim=Claim(3.25)), "no_defect_found"),  # within three standard errors
        (facts(claim=Claim(19.8)), "runtime"),
        (facts(claim=Claim(0.0008)), "runtime"),  # near zero is as much an alarm as above chance
        (facts(claim=Claim(bits(3.2))), "unit"),
        (facts(claim=Claim(bits(3.2), "bits")), "no_defect_found"),
        (facts(3.205, excess=over(0.005), **TWIN_OF, claim=Claim(19.8)), "runtime"),
        (facts(12.6, claim=Claim(19.8)), "suspect"),  # a broken checkpoint explains more than a claim
    ],
)
def test_conclusion(found: Facts, kind: str) -> None:
    concluded = conclude(found)
    assert concluded.kind == kind, concluded.text
    expected = ("H4D",) if found.suspects and kind == "suspect" else found.joint_ids
    assert concluded.hypotheses == expected and concluded.text.endswith(".")


def test_a_suspect_is_named_with_its_place() -> None:
    text = conclude(facts(suspects=ODD)).text
    assert "First suspect: H4D" in text and "layers.2" in text and "would decide" in text


def test_what_was_not_looked_at_is_said() -> None:
    assert "Not looked at in this run: H4B, H4C." in conclude(facts(untested=("H4B", "H4C"))).text


def test_what_could_still_hide_is_bounded_by_what_there_is_to_compare_with() -> None:
    one = (NotExcluded("H4D", "", None),)
    relative = facts(3.3, excess=over(0.1), **RELATIVE_OF)
    assert conclude(relative, open_ones=one).not_excluded[0].could_hide_nats == 0.18
    assert conclude(facts(), open_ones=one).not_excluded[0].could_hide_nats == 3.2  # no loss is below 0
    assert conclude(facts(12.6, **CURED), open_ones=one).not_excluded == ()


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
