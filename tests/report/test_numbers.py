"""Numbers as people see them, everywhere the same."""

from __future__ import annotations

import math

import pytest

from diag.report import numbers


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (12.5988, "12.599"),
        (0.000758, "0.000758"),
        (0.0123456, "0.012"),
        (0.00001, "1 × 10⁻⁵"),
        (1_234_567.0, "1.23 × 10⁶"),
        (-0.16, "−0.160"),
        (0.0, "0.000"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, "–"),
    ],
)
def test_a_loss_has_three_decimals_and_never_crashes(x: float | None, text: str) -> None:
    assert numbers.number(x) == text


def test_a_difference_has_its_sign_and_its_error() -> None:
    assert numbers.plus_minus(17.3, 0.04, signed=True) == "+17.300 ± 0.040"
    assert numbers.plus_minus(-0.5, None, signed=True) == "−0.500"
    assert numbers.plus_minus(None, 0.04) == "–"


def test_a_loss_stands_beside_bits_and_perplexity() -> None:
    assert numbers.in_all_units(19.80) == "19.800 nats = 28.565 bits, perplexity 3.97 × 10⁸"
    assert numbers.in_all_units(None) == "no loss"
    assert [numbers.perplexity(x) for x in (2.1, 7.0, 800.0)] == ["8.17", "1,097", "∞"]


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [(1.0, 1, "100 %"), (0.976, 1, "97.6 %"), (0.99987, 2, "99.99 %"), (-0.02, 1, "−2 %"), (0.0, 1, "0 %")],
)
def test_a_share_is_in_percent_behind_a_space(share: float, digits: int, text: str) -> None:
    assert numbers.percent(share, digits) == text
    assert numbers.percent(None) == numbers.percent(math.nan) == "–"


@pytest.mark.parametrize(
    ("x", "text"),
    [(12.5988, "12.6"), (151_936.0, "151,936"), (3.97e8, "3.97 × 10⁸"), ("Infinity", "∞"), (None, "–"), (0.0, "0")],
)
def test_a_statistic_has_four_digits(x: float | str | None, text: str) -> None:
    assert numbers.figure(x) == text


def test_a_value_of_any_kind_has_a_text() -> None:
    given = (None, True, 1_234_567, 1e-6, 10_000.0, "NaN", "silu")
    assert [numbers.value(x) for x in given] == ["–", "yes", "1,234,567", "1 × 10⁻⁶", "10,000", "NaN", "silu"]


def test_sizes_and_durations_have_the_unit_that_fits() -> None:
    given = (0, 200, 999_600, 23_100_000, 3.087e9)
    assert [numbers.size(n) for n in given] == ["0 B", "200 B", "1 MB", "23.1 MB", "3.09 GB"]
    assert numbers.files_and_size(2, 200) == "2 files, 200 B" and numbers.files_and_size(1, 5) == "1 file, 5 B"
    assert [numbers.seconds(x) for x in (0.04, 119, 300)] == ["0.0 s", "119.0 s", "5 min"]


def test_ages_use_one_unit() -> None:
    given = (30, 120, 7200, 86400, 200000)
    assert [numbers.age(0, now) for now in given] == ["just now", "2 min ago", "2 h ago", "1 day ago", "2 days ago"]
