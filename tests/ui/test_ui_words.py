"""Numbers and text as people see them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from diag.results.ruler import Loss, Ruler
from diag.ui.shell import show, words
from diag.units import Claim


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (12.5988, "12.599"),
        (0.000758, "0.00076"),
        (-0.16, "−0.160"),
        (0.0, "0.000"),
        (math.nan, "NaN"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (None, "–"),
    ],
)
def test_numbers_are_short_and_never_crash(x: float | None, text: str) -> None:
    assert words.number(x) == text


def test_a_loss_stands_beside_bits_and_perplexity() -> None:
    assert words.nats_in_full(19.80) == "19.800 nats = 28.565 bits a token, perplexity 3.97e+08"


def test_ages_use_one_unit() -> None:
    assert [words.age(0, now) for now in (30, 120, 7200, 86400, 200000)] == [
        "just now",
        "2 min ago",
        "2 h ago",
        "1 day ago",
        "2 days ago",
    ]


def test_the_headline_names_the_zone_and_chance() -> None:
    loss = Loss(19.80, 0.1, 2048, 4, "worse_than_chance", Ruler(math.log(151936), 7.0))
    assert words.headline(loss) == "Worse than chance: 19.800 nats a token, and chance is 11.931."
    assert words.claim_text(Claim(19.8), Ruler(11.93, 7.0)) == (
        "The claimed 19.800 nats would be worse than chance on this case."
    )


@pytest.mark.parametrize("text", ["<b>x</b>", "[a](http://x)", ":red[x]", "$x$", "# t", "`c`", "![i](u)", "www.x.com"])
def test_data_cannot_write_markup(text: str) -> None:
    shown = show.plain(text)
    assert not set(shown.replace("&#", "").replace(";", "")) & set("<>[]():$#`!*_")
    assert "www." not in shown


def test_a_spreadsheet_runs_nothing_from_a_csv() -> None:
    frame = pd.DataFrame({"token": ["=HYPERLINK(1)", "+1", "ok"], "loss": [-1.0, math.nan, 2.0]})
    lines = show.to_csv(frame).decode().splitlines()
    assert lines[1].startswith("'=HYPERLINK(1),-1.0") and lines[2].startswith("'+1,")
    assert b'"NaN"' in show.to_json(frame)


def test_every_status_has_a_mark_and_a_word() -> None:
    from typing import get_args

    from diag.results.diagnosis import ConclusionKind
    from diag.results.finding import Status
    from diag.results.ruler import GateWord

    for vocabulary in (Status, ConclusionKind, GateWord):
        assert set(get_args(vocabulary)) <= set(words.MARKS)
