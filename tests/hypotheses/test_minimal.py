"""Group testing from the repaired side: the exact culprits, within the promised number of passes, on any placement."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.hypotheses.minimal import PutBack

CHANCE, N = 12.0, 16
HARD = np.linspace(-0.1, 0.1, N)


def search(loss: Callable[[frozenset[int]], float], n: int, alike: Callable[[int], int] = lambda one: one) -> PutBack:
    """Over differences 0 to n - 1; `loss` is the mean with exactly these repaired."""

    def ask(sets: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        return [HARD + min(loss(frozenset(s)), CHANCE) for s in sets]

    return PutBack(range(n), ask, CHANCE, alike)


@given(st.integers(2, 64), st.data())
@settings(max_examples=200, deadline=None)
def test_every_culprit_and_no_other_is_kept(n: int, data: st.DataObject) -> None:
    """Each worth 0.1 to 6 nats, so that a few of them together reach chance and hide the others."""
    culprits = data.draw(st.dictionaries(st.integers(0, n - 1), st.floats(0.1, 6.0), max_size=5))
    run = search(lambda repaired: 3 + sum(cost for c, cost in culprits.items() if c not in repaired), n).run()
    assert run.kept == tuple(sorted(culprits))
    if k := len(culprits):
        assert run.sets <= 2 * k * math.log2(n / k) + 4 * k + 4 + 3


@pytest.mark.parametrize(("n", "k"), [(8, 1), (16, 2), (32, 3), (64, 4), (128, 2)])
def test_the_passes_on_95_of_100_placements(n: int, k: int) -> None:
    rng, bound, within = np.random.default_rng(0), 2 * k * math.log2(n / k) + 4 * k + 4, 0
    for _ in range(200):
        culprits = set(rng.choice(n, k, replace=False).tolist())
        run = search(lambda repaired, c=culprits: 3 + 1.5 * len(c - repaired), n).run()  # type: ignore[misc]
        assert set(run.kept) == culprits
        within += run.sets <= bound
    assert within >= 190


def test_two_halves_of_one_permutation_are_no_culprits() -> None:
    """Rows of 1 and columns of 2 in the same other order: either alone costs 5 nats, both cost nothing. 5 is broken."""

    def loss(repaired: frozenset[int]) -> float:
        return 3 + 5 * ((1 in repaired) != (2 in repaired)) + 2 * (5 not in repaired)

    assert search(loss, 6, lambda one: one in (1, 2)).run().kept == (5,)


def test_what_costs_nothing_alone_and_does_together_is_kept_in_part() -> None:
    """Two defects, of which either may stay: one of them is enough."""
    assert len(search(lambda repaired: 3 + 4 * (not repaired & {1, 6}), 8).run().kept) == 1


def test_a_loss_that_is_not_finite_is_a_cost() -> None:
    def ask(sets: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        return [HARD + (3.0 if 2 in s else math.nan) for s in sets]

    assert PutBack(range(4), ask, CHANCE, lambda one: one).run().kept == (2,)


def test_nothing_is_kept_where_nothing_costs() -> None:
    run = search(lambda repaired: 3.0, 7).run()
    assert run.kept == () and run.sets == 1  # everything repaired; the checkpoint as loaded is known
