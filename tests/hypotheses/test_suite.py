"""A whole test of a case in milliseconds: the losses are written out, and the findings and the conclusion follow."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from numbers_as_losses import HARD, Loss, N, Numbers, adding, candidate, own, table

from diag.checkpoints import Checkpoint
from diag.checkpoints.families.llama import LLAMA
from diag.errors import InputError
from diag.hypotheses import suite
from diag.hypotheses.base import Context, Hypothesis, Repair
from diag.model.edits import SkipBlock
from diag.results.baseline import BaselineResult, Check, Measurement
from diag.results.diagnosis import Diagnosis, JointRepair, ReferenceFound
from diag.results.finding import Finding, Signature
from diag.results.ruler import Ruler, zone
from diag.results.yardstick import Yardstick
from diag.units import Claim

NO_FILE = Checkpoint(Path("none"), "none", None, {}, LLAMA, {}, ())


def hypothesis(id: str, *repairs: Repair, seen: str = "") -> Hypothesis:
    """One with these repairs; `seen` is the tensor that carries its signature, if any."""
    signature = Signature(bool(seen), f"{seen or 'nothing'} was seen.", (seen,) if seen else ())
    return Hypothesis(id, id, "", "", lambda context: signature, lambda context, signature: repairs)


def baseline(loss: Loss, reference: float | None = None) -> BaselineResult:
    nats, ruler = float(np.mean(loss(frozenset()))), Ruler(math.log(4096), 6.8, reference, 5.1, 5.0)
    return BaselineResult(
        measurement=Measurement(nats, 0.1, 64 * N, N, "cpu", "fp32"),
        reference=None,
        ruler=ruler,
        zone=zone(nats, ruler),
        gate=None,
        null_models_nats=(),
        data=Check("ok", ""),
        tie=Check("tied_absent", ""),
        tokens=64 * N,
        sequences=N,
    )


def diagnose(loss: Loss, *hypotheses: Hypothesis, reference: float | None = 3.0, **more) -> Diagnosis:  # type: ignore[no-untyped-def]
    """Test hypotheses on losses; `reference` is the mean loss of the reference."""
    setup = suite.Setup(
        evaluator=Numbers(loss),
        context=Context(NO_FILE),  # no hypothesis here looks at a file
        baseline=baseline(loss, reference),
        reference=None if reference is None else RELATIVE,
        reference_losses=None if reference is None else HARD + reference,
        **more,
    )
    return suite.run(setup, hypotheses, lambda fraction, text: None)


RELATIVE = ReferenceFound("relative", False, True, 0.19)


def statuses(diagnosis: Diagnosis) -> dict[str, str]:
    return {finding.id: finding.status for finding in diagnosis.findings}


def one(diagnosis: Diagnosis, id: str) -> Finding:
    return next(finding for finding in diagnosis.findings if finding.id == id)


def test_what_cures_the_loss_is_confirmed_and_its_share_is_of_the_excess() -> None:
    found = diagnose(adding(9.0, {"a": 5.7}), hypothesis("H1", own("a"), seen="a"), hypothesis("H2", own("b")))
    assert statuses(found) == {"H1": "confirmed", "H2": "refuted"}
    (result,) = one(found, "H1").repairs
    assert result.share == pytest.approx(5.7 / 6.0) and result.delta_nats == pytest.approx(5.7)
    assert found.joint is not None and found.joint.repairs == (JointRepair("H1", "a"),)
    assert found.joint.share == pytest.approx(0.95) and found.joint.attribution == pytest.approx({"H1": 5.7})
    assert found.conclusion.kind == "partly_explained" and found.conclusion.hypotheses == ("H1",)  # 0.3 nats are left


def test_a_defect_behind_another_is_confirmed_with_what_it_is_worth() -> None:
    masked = table({"": 12.0, "a": 12.0, "mask": 12.1, "a+mask": 3.0})
    found = diagnose(masked, hypothesis("H1", own("a")), hypothesis("H2", own("mask"), seen="mask"))
    assert statuses(found) == {"H1": "confirmed", "H2": "confirmed"}
    assert found.joint is not None and found.joint.attribution == pytest.approx({"H1": 4.55, "H2": 4.45})
    (result,) = one(found, "H1").repairs
    assert result.delta_nats == 0.0 and result.on_top_delta_nats == pytest.approx(9.1)


def test_what_another_repair_explains_is_measured_on_top_of_it() -> None:
    losses = {"": 9.0, "a": 3.0, "b": 6.0, "a+b": 3.0}
    found = diagnose(table(losses), hypothesis("H1", own("a"), seen="a"), hypothesis("H2", own("b")))
    assert statuses(found) == {"H1": "confirmed", "H2": "refuted"}
    assert one(found, "H2").reason.startswith("Explained by H1") and one(found, "H2").repairs[0].on_top_delta_nats == 0


def test_a_part_of_the_excess_explains_a_part() -> None:
    found = diagnose(adding(9.0, {"a": 2.0}), hypothesis("H1", own("a"), seen="a"))
    assert statuses(found) == {"H1": "contributing"} and found.conclusion.kind == "partly_explained"


def test_a_localiser_says_where_and_joins_no_set() -> None:
    skip = Repair("skip block 1", (SkipBlock(1),), "", localiser=True)
    found = diagnose(adding(9.0, {"block 1": 4.0}), hypothesis("H1", skip, seen="x"))
    assert found.joint is None and statuses(found) == {"H1": "inconclusive"}
    (seen,) = one(found, "H1").screened
    assert seen.localiser and seen.delta_nats == pytest.approx(4.0)


def test_where_nothing_helps_the_best_is_still_measured_in_full() -> None:
    found = diagnose(adding(9.0, {"a": -0.3, "b": -0.1}), hypothesis("H1", own("a"), own("b")))
    assert [r.name for r in one(found, "H1").repairs] == ["b"] and one(found, "H1").best_repair == "b"
    assert [s.name for s in one(found, "H1").screened] == ["a"]
    assert found.conclusion.kind == "unexplained"


def test_a_sound_loss_is_no_defect_and_shares_nothing() -> None:
    found = diagnose(adding(3.0, {"a": -1.0}), hypothesis("H1", own("a")))
    assert found.conclusion.kind == "no_defect_found" and one(found, "H1").repairs[0].share is None
    assert diagnose(adding(3.0, {}), expected=3.0, reference=None).conclusion.kind == "healthy"


def test_a_claim_that_is_not_borne_out_is_the_runtimes() -> None:
    found = diagnose(adding(3.0, {}), hypothesis("H1", own("a")), claim=Claim(9.0))
    assert found.conclusion.kind == "runtime"


# Without a reference --------------------------------------------------------------------------------------------------
def test_without_a_reference_there_is_no_excess_and_no_share() -> None:
    found = diagnose(adding(9.0, {"a": 5.0}), hypothesis("H1", own("a"), seen="a"), reference=None)
    assert found.joint is not None and found.joint.share is None and one(found, "H1").repairs[0].share is None
    assert statuses(found) == {"H1": "confirmed"} and found.conclusion.kind == "explained"


def test_what_remains_must_be_below_the_border() -> None:
    """9.0 → 7.5 is still no better than the bigram at 5.1: an accident would explain all of such an excess."""
    loss = adding(9.0, {"a": 1.5})
    accident = diagnose(loss, hypothesis("H1", own("a")), reference=None)
    assert accident.joint is None and statuses(accident) == {"H1": "inconclusive"}
    assert accident.conclusion.kind == "suspect"
    backed = diagnose(loss, hypothesis("H1", own("a"), seen="a"), reference=None)
    assert backed.joint is not None and statuses(backed) == {"H1": "contributing"}
    assert backed.conclusion.kind == "partly_explained"


def test_a_small_gain_on_a_sound_model_is_an_accident_unless_a_signature_backs_it() -> None:
    loss = adding(3.0, {"a": 0.05})
    assert statuses(diagnose(loss, hypothesis("H1", own("a")), reference=None)) == {"H1": "refuted"}
    assert statuses(diagnose(loss, hypothesis("H1", own("a"), seen="a"), reference=None)) == {"H1": "confirmed"}


def test_a_block_that_is_better_skipped_locates_and_confirms_nothing() -> None:
    skip = Repair("skip block 1", (SkipBlock(1),), "", localiser=True)
    found = diagnose(adding(9.0, {"block 1": 5.5}), hypothesis("H1", skip), reference=None)
    assert statuses(found) == {"H1": "inconclusive"} and "skip block 1" in found.conclusion.text
    assert found.conclusion.kind == "suspect" and found.conclusion.hypotheses == ("H1",)
    hopeless = diagnose(adding(9.0, {"block 1": 2.0}), hypothesis("H1", skip), reference=None)
    assert hopeless.conclusion.hypotheses == ()  # anything lowers a hopeless loss


def test_the_yardstick_is_asked_from_the_border_up_and_only_then() -> None:
    asked = []

    def yardstick() -> Yardstick:
        asked.append(1)
        return Yardstick(None, "", None, 9.0, 9.1, 0.1, 0.01, 9.0, 0.0, 0.01, positions=256, sequences=N)

    bad = diagnose(adding(9.0, {}), hypothesis("H1", own("a")), reference=None, yardstick=yardstick)
    assert bad.conclusion.kind == "unexplained" and "no use of its context" in bad.conclusion.text and asked == [1]
    good = diagnose(adding(3.0, {}), hypothesis("H1", own("a")), reference=None, yardstick=yardstick)
    assert good.conclusion.kind == "no_defect_found" and asked == [1]


def test_a_repair_is_backed_only_if_it_changes_nothing_else() -> None:
    """The signature is on `a`; the repair of `a` and `b` rests on the loss alone."""
    found = diagnose(adding(9.0, {"a": 0.7, "b": 0.8}), hypothesis("H1", own("a", "b"), seen="a"), reference=None)
    assert found.joint is None


def test_no_repair_touches_what_equals_the_reference() -> None:
    setup = suite.Setup(
        Numbers(adding(9.0, {"a": 6.0})),
        Context(NO_FILE, equal=frozenset("a")),
        baseline(adding(9.0, {}), 3.0),
        RELATIVE,
        HARD + 3.0,
    )
    found = suite.run(setup, [hypothesis("H1", own("a"), own("a", "b"))], lambda fraction, text: None)
    assert one(found, "H1").repairs == () and found.conclusion.kind == "unexplained"


def test_from_a_loss_that_is_not_finite_a_cure_is_confirmed_without_a_share() -> None:
    found = diagnose(table({"": math.nan, "a": 3.1}), hypothesis("H1", own("a"), seen="a"))
    assert statuses(found) == {"H1": "confirmed"}
    (result,) = one(found, "H1").repairs
    assert result.delta_nats is None and result.share is None and result.loss_nats == pytest.approx(3.1)
    assert found.joint is not None and found.joint.attribution == {"H1": None}


# What surrounds the search --------------------------------------------------------------------------------------------
def test_a_test_that_fails_and_one_that_does_not_apply_leave_the_others_alone() -> None:
    def broken(context: Context) -> Signature:
        raise InputError("The tensor cannot be read.", where="a")

    fails = Hypothesis("H3", "", "", "", broken)
    absent = Hypothesis("H2", "", "", "", applies=lambda context: False)
    found = diagnose(adding(9.0, {"a": 6.0}), fails, absent, hypothesis("H1", own("a"), seen="a"))
    assert list(statuses(found).items()) == [("H1", "confirmed"), ("H2", "not_applicable"), ("H3", "error")]
    assert "cannot be read" in one(found, "H3").reason


def test_findings_made_before_stand_among_the_others() -> None:
    setup = suite.Setup(Numbers(adding(3.0, {})), Context(NO_FILE), baseline(adding(3.0, {})))
    before = Finding("H0", "refuted", Signature(False, "text"))
    said: list[float | None] = []
    found = suite.run(setup, [hypothesis("H1", own("a"))], lambda fraction, text: said.append(fraction), (before,))
    assert list(statuses(found)) == ["H0", "H1"] and found.findings[0] is before
    fractions = [fraction for fraction in said if fraction is not None]
    assert fractions == sorted(fractions) and fractions[0] > 0 and fractions[-1] < 1


def test_every_pass_is_counted() -> None:
    found = diagnose(adding(9.0, {"a": 6.0}), hypothesis("H1", own("a")))
    assert found.forward_passes == 2 * N  # as loaded, and with the one repair; what screening saw is a part of it
    assert candidate("a").cost < candidate(own("a", "b")).cost
