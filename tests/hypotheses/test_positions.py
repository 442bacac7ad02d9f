"""The loss by position: in buckets each as long as all before, paired by sequence, and what it says where it grows."""

from __future__ import annotations

import numpy as np
import pytest

from diag.results.positions import compared

HARD = np.linspace(-1.0, 1.0, 8)[:, None]  # how much harder each sequence is than the mean, in every bucket
FLAT = np.full((8, 6), 3.0) + HARD


def test_buckets_and_means() -> None:
    found = compared((FLAT + np.arange(6)).tolist(), (), 27, "")
    assert found is not None and not found.grows and found.sentence == "" and found.other == ""
    assert [(row.first, row.last) for row in found.rows] == [(0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, 26)]
    assert [row.nats for row in found.rows] == pytest.approx([3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    assert found.rows[0].stderr == pytest.approx(HARD.std(ddof=1) / 8**0.5)
    assert found.rows[0].other_nats is None


def test_a_difference_that_grows_is_told_from_one_that_is_there_from_the_first_position() -> None:
    rising = compared((FLAT + np.array([0.0, 0.2, 0.5, 1.0, 1.5, 2.0])).tolist(), FLAT.tolist(), 32, "the reference")
    assert rising is not None and rising.grows
    assert rising.sentence == (
        "The difference to the reference grows with the position: +0.000 nats at the first, +2.000 at 16 to 31."
    )
    assert rising.rows[-1].over_stderr == pytest.approx(0.0, abs=1e-12)  # paired: how hard a sequence is drops out
    constant = compared((FLAT + 2.0).tolist(), FLAT.tolist(), 32, "the reference")
    assert constant is not None and not constant.grows and "does not grow" in constant.sentence
    from_the_first = compared(
        (FLAT + np.array([0.8, 1.0, 1.2, 1.6, 1.8, 2.0])).tolist(), FLAT.tolist(), 32, "the reference"
    )
    assert from_the_first is not None and not from_the_first.grows


def test_noise_does_not_grow() -> None:
    noise = np.random.default_rng(0).normal(0.0, 1.0, (8, 6))
    found = compared((FLAT + noise).tolist(), FLAT.tolist(), 32, "the reference")
    assert found is not None and not found.grows


def test_what_is_not_finite_or_was_not_kept_has_no_positions() -> None:
    assert compared((), (), 32, "the reference") is None
    broken = FLAT.copy()
    broken[1, 2] = np.nan
    assert compared(broken.tolist(), FLAT.tolist(), 32, "the reference") is None
    alone = compared(FLAT.tolist(), broken.tolist(), 32, "the reference")
    assert alone is not None and alone.other == ""
