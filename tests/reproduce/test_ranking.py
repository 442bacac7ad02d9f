"""Sets of injected defects ranked against a claim, over losses that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from diag.reproduce.base import Injection
from diag.reproduce.injector import Part, Set
from diag.reproduce.ranking import rank

WHOLE = Part(64, 64)
NOTHING = Injection("nothing", "nothing")
BITS = Injection("bits", "unit", unit=1.5)
HIDES = Injection("hides", "hides")  # whatever else is there, the loss is the same
DEFECTS = [*(Injection(f"d{i}", f"slot {i}") for i in range(30)), NOTHING, BITS, HIDES]


class MadeUp:
    """Losses of sequences that are hard or easy for every broken model, and a little for each set by itself."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        self.hard = 0.5 * rng.standard_normal(WHOLE.sequences)
        self.costs = {each.name: float(x) for each, x in zip(DEFECTS, rng.uniform(0.5, 6, len(DEFECTS)), strict=True)}
        self.costs |= {"nothing": 0.0, "bits": 0.0}
        self.asked = 0
        self.whole = WHOLE

    def losses(self, sets: Sequence[Set], part: Part) -> list[np.ndarray]:
        self.asked += len(sets) * part.tokens
        return [self._of(s)[: part.sequences] for s in sets]

    def _of(self, injected: Set) -> np.ndarray:
        if HIDES in injected:
            return np.full(WHOLE.sequences, 8.0)
        names = sorted(each.name for each in injected if self.costs[each.name])
        own = np.random.default_rng(sum(map(ord, "".join(names)))).standard_normal(WHOLE.sequences)
        cost = float(np.hypot.reduce([self.costs[n] for n in names])) if names else 0.0
        return 3.0 + cost + (self.hard * (1 + 0.1 * cost) + 0.2 * own if names else self.hard)


def tell(fraction: float, text: str) -> None:
    assert 0 <= fraction <= 1


@pytest.mark.parametrize(("a", "b"), list(combinations((0, 9, 17, 29), 2)))
def test_the_pair_that_gave_the_claim_is_the_nearest(a: int, b: int) -> None:
    model = MadeUp()
    pair = (DEFECTS[a], DEFECTS[b])
    claim = float(model._of(pair).mean())
    found = rank(model, DEFECTS, claim, tell)
    assert found.nearest[0].injected == pair
    assert found.nearest[0].distance(claim) < 1e-9
    assert model.asked < 0.5 * found.pairs * WHOLE.tokens


def test_what_has_no_effect_is_in_no_pair_and_what_hides_another_stands_alone() -> None:
    model = MadeUp()
    found = rank(model, DEFECTS, 8.0, tell)
    assert found.without_effect == ("nothing",)
    assert found.nearest[0].injected == (HIDES,)
    assert not any(HIDES in m.injected and len(m.injected) > 1 for m in found.nearest)
    assert not any(NOTHING in m.injected for m in found.nearest)


def test_a_unit_counts_in_pairs_and_costs_no_pass() -> None:
    model = MadeUp()
    claim = 1.5 * float(model._of((DEFECTS[3],)).mean())
    found = rank(model, DEFECTS, claim, tell)
    assert found.nearest[0].injected == (DEFECTS[3], BITS)


def test_sets_that_fit_by_accident_are_counted() -> None:
    model = MadeUp()
    every = [float(model._of(s).mean()) for s in (*combinations(DEFECTS[:30], 2), *((d,) for d in DEFECTS[:30]))]
    found = rank(model, DEFECTS[:30], 8.0, tell)
    true = sum(abs(nats - 8.0) <= found.tolerance for nats in every)
    assert 0.5 * true <= found.fits <= 2 * true
