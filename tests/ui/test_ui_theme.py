"""Text can be read on every ground of both themes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from diag.charts.style import BLUE, PINK, TEAL, VIOLET
from diag.report.look import INKS

CONFIG = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text())


def luminance(colour: str) -> float:
    """Relative luminance of #RRGGBB (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """1 to 21."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_text_and_links_have_contrast(name: str) -> None:
    theme = CONFIG["theme"][name]
    grounds = [theme["backgroundColor"], theme["secondaryBackgroundColor"], theme["sidebar"]["backgroundColor"]]
    for ground in grounds:
        for ink in ("textColor", "linkColor", "grayColor", "primaryColor", "codeTextColor"):
            assert contrast(theme[ink], ground) >= 4.5, (ink, ground)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_what_charts_draw_can_be_seen_on_both_grounds(name: str) -> None:
    ground = CONFIG["theme"][name]["backgroundColor"]
    colours = {"blue": BLUE, "pink": PINK, "teal": TEAL, "violet": VIOLET, **{t: ink.chart for t, ink in INKS.items()}}
    for what, colour in colours.items():
        assert contrast(colour, ground) >= 3, what


def test_the_server_stays_on_this_machine_and_sends_nothing_out() -> None:
    assert CONFIG["server"]["address"] == "127.0.0.1"
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["server"]["maxUploadSize"] <= 16
