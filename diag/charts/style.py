"""What all charts share: colours for both themes, the bare layout, and how many marks are drawn."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from diag.report.look import INKS

# What is drawn has colours of its own, so that none is taken for a severity; severities have those of diag.report.look.
# Mid tones: each has a contrast of at least 3 against the grounds of both themes. Text takes the theme's own colour.
BLUE, PINK, TEAL, VIOLET = "#3B82F6", "#D9469A", "#0E96A8", "#8B5CF6"
GREY = INKS["neutral"].chart
BROKEN = INKS["broken"].chart
GRID = "rgba(128,138,152,0.25)"

MAX_MARKS = 2_000
FONT_PX = 12
LINE_PX = 16


def blank(height: int, **layout: Any) -> go.Figure:
    """An empty figure of this height in pixels: transparent, no legend title, no zoom that a phone could trip over."""
    # Given at once: plotly takes 10 ms or more to check a layout that is changed.
    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"size": FONT_PX},
            "hovermode": "closest",
            "dragmode": False,
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": {"text": ""}},
            **layout,
        }
    )


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its unit in the title and a grid that both themes can show."""
    return {
        "title": {"text": title, "standoff": 10},
        "gridcolor": GRID,
        "zeroline": False,
        "showline": True,
        "linecolor": GREY,
        "ticks": "outside",
        "tickcolor": GREY,
        "automargin": True,
        **more,
    }


def escape(text: str, limit: int = 60) -> str:
    """Text from files, so that plotly shows `<b>` as it is written and an entity as an entity."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return cut.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def finite(value: float | None) -> bool:
    """Whether there is a number that can be drawn."""
    return value is not None and math.isfinite(value)


def sample(length: int, marks: int = MAX_MARKS) -> list[int]:
    """At most `marks` indices below `length`, evenly spread, first and last among them."""
    if length <= marks:
        return list(range(length))
    return sorted({round(i * (length - 1) / (marks - 1)) for i in range(marks)})
