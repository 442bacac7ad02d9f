"""The search finds the smallest set, on losses that are written out: no model, so every decision can be set up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numbers_as_losses import HARD, Loss, N, Numbers, adding, candidate, copied, from_reference, own, table

from diag.checkpoints.buffer_order import BufferOrder
from diag.hypotheses.base import Repair
from diag.hypotheses.search import Candidate, Search, combined, conflict
from diag.model.edits import Copy, FromReference, Reorder, Scale, SetEps, Shift, SkipBlock
from diag.model.edits.base import Edit
from diag.results.thresholds import FULL_PER_ROUND, Threshold

CHANCE = math.log(4096)  # 8.318
MANY = Threshold(99, "", "")


def search(loss: Loss, pool: Sequence[Candidate], sequences: int = N) -> Search:
    return Search(Numbers(loss, sequences), pool, CHANCE, lambda text: None)


def names(candidates: Sequence[Candidate]) -> list[str]:
    return [c.repair.name for c in candidates]


def found(loss: Loss, pool: Sequence[Candidate], good_enough: float = 4.0) -> list[str]:
    """The joint set by name. A mean loss up to `good_enough` is good enough."""
    one = search(loss, pool)
    return names(one.joint(lambda chosen: float(one.full(chosen).mean()) <= good_enough))


# Growth ---------------------------------------------------------------------------------------------------------------
def test_two_defects_are_both_found_the_larger_one_first() -> None:
    pool = [candidate("a", "H1"), candidate("b", "H2"), candidate("idle", "H3")]
    assert found(adding(9.0, {"a": 2.0, "b": 3.0}), pool) == ["b", "a"]


def test_nothing_is_found_where_nothing_helps() -> None:
    loss = adding(9.0, {"worse": -1.0, "too little": 0.019})
    assert found(loss, [candidate("worse"), candidate("too little"), candidate("idle")]) == []


def test_a_gain_within_noise_is_none() -> None:
    noise = np.where(np.arange(N) % 2, 1.0, -1.0)  # a standard error of 0.26 nats

    def loss(repaired: frozenset[str]) -> np.ndarray:
        return 9.0 - sum(gain + noise for name, gain in {"a": 0.7, "b": 0.9}.items() if name in repaired) + 0 * HARD

    assert found(loss, [candidate("a"), candidate("b")]) == ["b"]


def test_one_sequence_decides_nothing() -> None:
    one = search(adding(9.0, {"a": 5.0}), [candidate("a")], sequences=1)
    assert one.grow() == []


def test_a_set_has_at_most_six_members() -> None:
    letters = "abcdefgh"
    assert len(search(adding(30.0, dict.fromkeys(letters, 2.0)), [candidate(c) for c in letters]).grow()) == 6


def test_growth_says_what_it_stands_on() -> None:
    said: list[str] = []
    Search(Numbers(adding(9.0, {"a": 2.0})), [candidate("a")], CHANCE, said.append).grow()
    assert said == ["Testing every repair on top of the checkpoint as loaded", "Testing every repair on top of a"]


# Masks ----------------------------------------------------------------------------------------------------------------
MASKED = {"": 12.0, "a": 12.0, "mask": 12.3, "a+mask": 4.0}  # until the mask is off, a repair of `a` shows nothing


@pytest.mark.parametrize("backed", [True, False])
def test_behind_a_mask_the_search_starts_again_from_repairs_that_are_not_material(backed: bool) -> None:
    pool = [candidate("a", "H1"), candidate("mask", "H2", backed)]
    assert sorted(found(table(MASKED), pool)) == ["a", "mask"]


def test_what_is_good_enough_is_not_started_again() -> None:
    one = search(table(MASKED), [candidate("a", "H1"), candidate("mask", "H2")])
    assert one.joint(lambda chosen: True) == []
    assert isinstance(one.evaluator, Numbers) and frozenset({"a", "mask"}) not in one.evaluator.sets


def test_restarts_begin_with_what_a_signature_backs_then_the_least_bad_of_each_hypothesis() -> None:
    gains = {"good": -0.1, "bad": -0.4, "other": -0.2, "backed": -0.5, "lost": math.nan}
    pool = [
        *(candidate(name, "H1") for name in ("bad", "good")),
        *(candidate(name, "H2") for name in ("other", "lost")),
        candidate("backed", "H3", backed=True),
        candidate(own("all", "of", "it"), "H3", backed=True),
        candidate(copied("from afar"), "H4", backed=True),
    ]
    one = search(adding(9.0, gains), pool)
    starts = [names(start) for start in one._starts()]
    assert starts == [["all+of+it"], ["backed"], ["from afar copied"], ["good"]]  # at most four
    assert [names(start) for start in search(adding(9.0, gains), pool[:4])._starts()] == [["good"], ["other"]]


def test_what_was_found_is_not_started_from_again() -> None:
    said: list[str] = []
    one = Search(Numbers(adding(9.0, {"a": 5.0})), [candidate("a")], CHANCE, said.append)
    assert names(one.joint(lambda chosen: False)) == ["a"] and len(said) == 2


def test_a_restart_counts_only_if_it_is_materially_better() -> None:
    losses = {"": 9.0, "a": 6.0, "b": 9.1, "a+b": 6.01, "c": 9.2, "a+c": 6.1, "b+c": 5.99, "a+b+c": 6.2}
    pool = [candidate("a", "H1"), candidate("b", "H2", backed=True), candidate("c", "H3")]
    assert found(table(losses), pool) == ["a"]


# Pruning --------------------------------------------------------------------------------------------------------------
def test_what_a_later_repair_makes_idle_is_taken_out() -> None:
    losses = {"": 9.0, "a": 6.0, "b": 7.0, "a+b": 3.0, "c": 8.99, "a+c": 6.0, "b+c": 3.0, "a+b+c": 3.0}
    one = search(table(losses), [candidate("a"), candidate("b"), candidate("c")])
    assert names(one.prune([candidate(c) for c in "cab"])) == ["a", "b"]
    assert names(one.prune([candidate(c) for c in "ab"])) == ["a", "b"]


def test_the_least_useful_goes_first() -> None:
    """Either of `a` and `b` can go; without `b` the loss stays lower."""
    losses = {"": 9.0, "a": 3.0, "b": 3.005, "a+b": 3.0}
    assert names(search(table(losses), []).prune([candidate("a"), candidate("b")])) == ["a"]


def test_a_set_of_idle_repairs_is_pruned_to_nothing() -> None:
    assert search(adding(9.0, {}), []).prune([candidate("a"), candidate("b")]) == []


# Conflicts and order --------------------------------------------------------------------------------------------------
def test_two_edits_of_one_kind_on_one_tensor_are_never_tried_together() -> None:
    up, down = (Candidate("H1", Repair(f"{by:+g}", (Shift(("x",), by),), "")) for by in (1.0, -1.0))
    beside, copy = candidate(own("y", "z")), candidate(copied("x"))
    assert conflict(up, down) and not conflict(up, beside) and not conflict(up, copy)

    def loss(repaired: frozenset[str]) -> float:
        return 9.0 - 2.0 * len(repaired)

    one = search(loss, [up, down])
    assert names(one.grow()) == ["+1"]
    assert isinstance(one.evaluator, Numbers)
    assert all(len(edits) <= 1 for edits in one.evaluator._known)


def test_edits_of_a_set_are_applied_in_one_order_whichever_was_accepted_first() -> None:
    edits = (
        Reorder(("m",), BufferOrder.COLUMN_MAJOR),
        Shift(("n",), 1.0),
        FromReference(("r",)),
        Copy("head", "m"),
        SkipBlock(2),
        SetEps(1e-5),
    )
    members = [Candidate("H1", Repair(str(i), (edit,), "")) for i, edit in enumerate(edits)]
    assert combined(members) == combined(members[::-1]) == edits


# Which of several cures -----------------------------------------------------------------------------------------------
def test_of_equal_cures_the_most_specific_is_taken() -> None:
    cures = [from_reference("a"), copied("b"), own("c", "d"), own("e"), own("f")]
    pool = [candidate(repair) for repair in cures]
    loss: Loss = lambda repaired: 3.0 if repaired else 9.0  # noqa: E731
    for left, expected in ((5, "e"), (3, "c+d"), (2, "b copied"), (1, "a from reference")):
        assert names(search(loss, pool[:left]).grow()) == [expected]


def test_of_equally_specific_cures_the_first_that_is_named_is_taken_though_another_is_lower_within_noise() -> None:
    one = search(table({"": 9.0, "e": 3.0, "f": 3.001, "e+f": 3.0}), [candidate("f"), candidate("e")])
    assert names(one.grow()) == ["f"]


def test_of_a_sweep_that_is_level_within_noise_the_optimum_is_taken() -> None:
    """The values of one sweep, and one of another: biases over a number of ranks."""

    class ByFactor(Numbers):
        def losses(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
            self.loss = lambda repaired: {0.5: 3.02, 0.25: 3.01, 0.125: 3.0, 0.1: 3.012}[edits[0].by] if edits else 9.0
            return super().losses(edits, subset)

    pool = [
        Candidate("H1", Repair(f"÷ {1 / by:g}", (Scale(("x",), by),), "", sweep=True)) for by in (0.5, 0.25, 0.125, 0.1)
    ]
    one = Search(ByFactor(lambda repaired: 0.0), [candidate("a"), *pool], CHANCE, lambda text: None)
    assert names([found for found in [one.best_of([], pool)] if found]) == ["÷ 8"]


def test_a_cure_that_is_better_than_noise_wins_over_a_more_specific_one() -> None:
    pool = [candidate("b"), candidate(copied("a"))]
    for lead, expected in ((0.03, "a copied"), (0.01, "b")):
        best = search(table({"": 9.0, "a": 3.0, "b": 3.0 + lead}), pool).best_of([], pool)
        assert best is not None and best.repair.name == expected


def test_a_backed_repair_goes_before_an_accident() -> None:
    """Behind another defect `accident` happens to lower the loss more."""
    losses = {"": 9.0, "accident": 6.0, "true": 7.0}
    pool = [candidate("accident", "H1"), candidate("true", "H2", backed=True)]
    best = search(table(losses), pool).best_of([], pool)
    assert best is not None and best.repair.name == "true"


# Losses that are not finite -------------------------------------------------------------------------------------------
def test_from_a_loss_that_is_not_finite_a_finite_one_below_chance_is_found() -> None:
    losses = {"": math.nan, "a": 5.0, "b": 9.0, "c": math.inf}
    pool = [candidate("c"), candidate("b"), candidate("a")]
    one = search(table(losses), pool)
    assert set(names(one.promising([], pool, MANY))) == {"a", "b"}
    best = one.best_of([], pool)
    assert best is not None and best.repair.name == "a"


def test_a_repair_that_breaks_the_loss_is_never_promising() -> None:
    one = search(adding(9.0, {"broken": math.nan}), [])
    (seen,) = one.screen([], [candidate("broken")])
    assert math.isnan(seen.loss_nats) and seen.delta_nats is None and seen.sequences == 2
    assert one.promising([], [candidate("broken")], MANY) == []


# Screening ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("sequences", "size"), [(1, 1), (3, 3), (16, 4), (64, 8), (800, 100)])
def test_the_screening_subset_is_small_and_reaches_both_ends(sequences: int, size: int) -> None:
    subset = search(adding(9.0, {}), [], sequences).subset
    assert len(set(subset)) == size and (subset[0], subset[-1]) == (0, sequences - 1 if size > 1 else 0)


def test_a_hopeless_repair_costs_half_of_the_subset_and_others_all_of_it() -> None:
    one = search(adding(9.0, {"good": 1.0, "bad": -0.4, "hopeless": -0.6}), [])
    seen = one.screen([], [candidate(name) for name in ("hopeless", "good", "bad")])
    assert [(s.name, s.sequences) for s in seen] == [("hopeless", 2), ("good", 4), ("bad", 4)]
    assert [s.delta_nats for s in seen] == pytest.approx([-0.6, 1.0, -0.4])
    assert isinstance(one.evaluator, Numbers)
    assert [one.evaluator.passes(name) for name in ("hopeless", "good", "bad")] == [2, 4, 4]


def test_screening_is_paired_with_what_stands_there() -> None:
    one = search(adding(9.0, {"a": 1.0, "b": 2.0}), [])
    (seen,) = one.screen([candidate("a")], [candidate("b")])
    assert seen.loss_nats == pytest.approx(6.0 + HARD[list(one.subset)].mean()) and seen.delta_nats == pytest.approx(
        2.0
    )


def test_promising_ones_are_few_backed_ones_first_then_the_best() -> None:
    gains = {"a": 0.5, "b": 2.0, "c": 1.0, "d": 0.3, "e": 0.2, "no": 0.009}
    pool = [candidate(name, backed=name == "d") for name in gains]
    one = search(adding(9.0, gains), pool)
    assert names(one.promising([], pool, FULL_PER_ROUND)) == ["d", "b", "c", "a"]
    assert names(one.promising([candidate("b")], pool, MANY)) == ["d", "c", "a", "e"]


# Rounds ---------------------------------------------------------------------------------------------------------------
def test_every_list_is_asked_for_at_once() -> None:
    gains = {"a": 2.0, "b": 3.0, "c": 0.0, "d": -0.7}
    pool = [candidate(name, f"H{i}") for i, name in enumerate(gains)]
    one = search(adding(9.0, gains), pool)
    numbers = one.evaluator
    assert isinstance(numbers, Numbers)
    assert names(one.grow()) == ["b", "a"]
    assert numbers.asked == [
        *((4, 2), (3, 4), (2, N)),  # all on half of the subset, the hopeful on all of it, the promising in full
        *((3, 2), (2, 4), (1, N)),  # the same on top of b
        *((2, 2), (1, 4), (0, N)),  # and on top of b and a
    ]
    numbers.asked.clear()
    assert names(one.prune([pool[0], pool[1]])) == ["a", "b"]
    one.attribution([pool[0], pool[1]])
    assert numbers.asked == [(2, N), (4, N)]
    numbers.asked.clear()
    one._starts()
    assert numbers.asked == [(4, 2), (3, 4)]


# Attribution ----------------------------------------------------------------------------------------------------------
def test_what_only_works_together_is_shared_equally() -> None:
    """12.0 alone, 12.3 with the mask off, 4.0 with both: (0 + 8.3) / 2 and (−0.3 + 8) / 2."""
    joint = [candidate("a", "H1"), candidate("mask", "H2")]
    assert search(table(MASKED), joint).attribution(joint) == pytest.approx({"H1": 4.15, "H2": 3.85})


def test_repairs_of_one_hypothesis_are_worth_something_together() -> None:
    joint = [candidate("a", "H1"), candidate("b", "H1"), candidate("c", "H2")]
    assert search(adding(9.0, {"a": 1.0, "b": 2.0, "c": 0.5}), joint).attribution(joint) == pytest.approx(
        {"H1": 3.0, "H2": 0.5}
    )


def test_nothing_has_no_attribution() -> None:
    assert search(adding(9.0, {}), []).attribution([]) == {}


def test_a_difference_from_a_loss_that_is_not_finite_has_no_value() -> None:
    joint = [candidate("a", "H1"), candidate("b", "H2")]
    losses = {"": math.nan, "a": 6.0, "b": 5.0, "a+b": 3.0}
    assert search(table(losses), joint).attribution(joint) == {"H1": None, "H2": None}


def test_a_worth_has_the_error_of_its_differences_and_not_of_the_losses() -> None:
    """Sequences differ by nats; that H1 is worth 1 on each is certain, and that H2 is worth 2 ± what varies."""
    joint = [candidate("a", "H1"), candidate("b", "H2")]
    hard, by = np.array([3.0, 5.0, 7.0, 9.0]), np.array([1.0, 2.0, 2.0, 3.0])
    rows = {"": hard, "a": hard - 1, "b": hard - by, "a+b": hard - 1 - by}
    one = search(lambda repaired: rows["+".join(sorted(repaired))], joint, sequences=4)
    assert one.attribution(joint) == pytest.approx({"H1": 1.0, "H2": 2.0})
    assert one.attribution_stderr(joint) == pytest.approx({"H1": 0.0, "H2": by.std(ddof=1) / 2})


def test_a_single_sequence_gives_no_error() -> None:
    joint = [candidate("a", "H1")]
    one = search(table({"": 3.0, "a": 1.0}), joint, sequences=1)
    assert one.attribution(joint) == {"H1": 2.0} and one.attribution_stderr(joint) == {"H1": None}


@given(st.lists(st.floats(-20, 20), min_size=8, max_size=8))
def test_attribution_adds_up_to_the_whole_gain(values: list[float]) -> None:
    sets = ["+".join(chosen) for size in range(4) for chosen in combinations("abc", size)]
    losses = dict(zip(sets, values, strict=True))
    joint = [candidate(name, f"H{name}") for name in "abc"]
    worth = search(table(losses), joint).attribution(joint)
    total = sum(nats for nats in worth.values() if nats is not None)
    assert total == pytest.approx(losses[""] - losses["a+b+c"], abs=1e-9)
