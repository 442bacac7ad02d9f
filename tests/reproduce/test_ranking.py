"""Sets of injected defects ranked against a claim, over losses that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from diag.model.edits.fresh import Fresh
from diag.reproduce.base import Injection
from diag.reproduce.injector import Part, Set
from diag.reproduce.ranking import Aim, Measured, ladder, listed, rank
from diag.reproduce.telling import told

WHOLE = Part(16, 64)
NOTHING = Injection("nothing", "nothing")
BITS = Injection("bits", "unit", unit=1.5)
HIDES = Injection("hides", "hides")  # whatever else is there, the loss is the same
DEFECTS = [*(Injection(f"d{i}", f"slot {i}") for i in range(30)), NOTHING, BITS, HIDES]
EXACT = 5e-7  # half a unit of the sixth decimal


class MadeUp:
    """Losses of tokens that are hard or easy for every broken model, more so for some defects, and a little for each
    set by itself."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.hard = rng.standard_normal(WHOLE)
        self.of = {each.name: rng.standard_normal(WHOLE) for each in DEFECTS}
        self.costs = {each.name: float(x) for each, x in zip(DEFECTS, rng.uniform(0.5, 6, len(DEFECTS)), strict=True)}
        self.costs |= {"nothing": 0.0, "bits": 0.0}
        self.asked = 0
        self.whole = WHOLE

    def tokens(self, sets: Sequence[Set], part: Part) -> list[np.ndarray]:
        self.asked += len(sets) * part.tokens
        return [self._of(s)[: part.sequences, : part.positions] for s in sets]

    def mean(self, injected: Set) -> float:
        return float(self._of(injected).mean())

    def _of(self, injected: Set) -> np.ndarray:
        if HIDES in injected:
            return np.full(WHOLE, 8.0)
        names = sorted(each.name for each in injected if self.costs[each.name])
        if not names:
            return 3.0 + self.hard
        own = np.random.default_rng(sum(map(ord, "".join(names)))).standard_normal(WHOLE)
        cost = float(np.hypot.reduce([self.costs[n] for n in names]))
        return 3.0 + cost + self.hard + sum(self.of[n] for n in names) + 0.3 * own


def tell(fraction: float, text: str) -> None:
    assert 0 <= fraction <= 1


@pytest.mark.parametrize(("a", "b"), list(combinations((0, 9, 17, 29), 2)))
def test_the_pair_that_gave_the_claim_is_the_nearest(a: int, b: int) -> None:
    model = MadeUp()
    pair = (DEFECTS[a], DEFECTS[b])
    found = rank(model, model, DEFECTS, Aim(model.mean(pair), EXACT), tell)
    assert found.nearest[0].injected == pair
    assert found.nearest[0].distance(model.mean(pair)) < 1e-9


def test_what_has_no_effect_is_in_no_pair_and_what_hides_another_stands_alone() -> None:
    model = MadeUp()
    found = rank(model, model, DEFECTS, Aim(8.0, EXACT), tell)
    assert found.without_effect == ("nothing",)
    assert found.nearest[0].injected == (HIDES,)
    assert not any(HIDES in m.injected and len(m.injected) > 1 for m in found.nearest)
    assert not any(NOTHING in m.injected for m in found.nearest)


def test_a_unit_counts_in_pairs_and_costs_no_pass() -> None:
    model = MadeUp()
    found = rank(model, model, DEFECTS, Aim(1.5 * model.mean((DEFECTS[3],)), EXACT), tell)
    assert found.nearest[0].injected == (DEFECTS[3], BITS)


def test_sets_that_fit_by_accident_are_counted() -> None:
    model = MadeUp()
    every = [model.mean(s) for s in (*combinations(DEFECTS[:30], 2), *((d,) for d in DEFECTS[:30]))]
    found = rank(model, model, DEFECTS[:30], Aim(8.0, EXACT), tell)
    true = sum(abs(nats - 8.0) <= found.tolerance for nats in every)
    assert 0.5 * true <= found.fits <= 2 * true


def test_a_pair_is_told_by_what_its_members_do_to_each_token() -> None:
    model, part = MadeUp(), Part(4, 16)
    off, plain = [], []
    for pair in combinations(DEFECTS[:12], 2):
        alone = [(model.tokens([s], part)[0], model.tokens([s], WHOLE)[0]) for s in ((), *((each,) for each in pair))]
        here = model.tokens([pair], part)[0]
        off.append(abs(told(here, alone)[0] - model.mean(pair)))
        plain.append(abs(float(here.mean()) - model.mean(pair)))
    assert np.median(off) < 0.4 * np.median(plain)


def test_parts_grow_to_the_window() -> None:
    assert ladder(Part(16, 128)) == [Part(4, 16), Part(8, 32), Part(16, 128)]
    assert ladder(Part(64, 512)) == [Part(4, 16), Part(8, 32), Part(16, 128), Part(64, 512)]
    assert ladder(Part(1, 100)) == [Part(1, 100)]


def test_of_sets_that_give_the_digits_the_likelier_are_named_and_the_closest_stands_first() -> None:
    known, rare = (Injection(n, n, source=s) for n, s in (("known", "a#1, b#2, c#3"), ("rare", "variant of a#1")))
    random = Injection("random", "random", (Fresh(("head",)),), source="a#1")
    at = {(known, rare): 0.001, (rare,): 0.03, (known,): 0.04, (random,): 0.09, (random, rare): 0.06}
    found = [Measured(s, np.full(4, 19.8 + off)) for s, off in sorted(at.items(), key=lambda item: item[1])]
    ten, to_the_digit = listed(found, Aim(19.8, 0.05), 3)
    assert to_the_digit == 3
    assert [m.injected for m in ten] == [(known, rare), (rare,), (known,)]
    four, _ = listed(found, Aim(19.8, 0.05), 4)
    assert four[-1].injected == (random,)
    two, _ = listed(found, Aim(19.8, 0.05), 2)
    assert [m.injected for m in two] == [(rare,), (known,)]
