"""Numbers and text as people see them."""

from __future__ import annotations

import html
import math

import pandas as pd
import pytest

from diag.results.ruler import Loss, Ruler
from diag.ui.case import words as case_words
from diag.ui.shell import show, words
from diag.units import Claim


def test_the_headline_names_the_zone_and_chance() -> None:
    loss = Loss(19.80, 0.1, 2048, 4, "worse_than_chance", Ruler(math.log(151936), 7.0))
    assert words.headline(loss) == "Worse than chance: 19.800 nats a token, and chance is 11.931."
    assert case_words.claim_text(Claim(19.8), Ruler(11.93, 7.0)) == (
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


def test_a_page_names_no_option_of_the_command_line() -> None:
    shown = html.unescape(show.plain("Give --reference with a sound copy. Use --seq-len 128 or less; --dtype decides."))
    assert shown == "Give a reference with a sound copy. Use a sequence length of 128 or less; dtype decides."
    assert html.unescape(show.plain("a -- b, x--y, -–")) == "a -- b, x--y, -–"
