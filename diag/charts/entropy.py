"""What the ids of a shard carry: one bar from nothing to a uniform guess, and on it what each predictor needs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from diag.charts.flags import LANE_PX, Drawing, Label, Mark, place, point, stacked
from diag.charts.style import BLUE, GREY, axis, blank
from diag.report import numbers
from diag.units import bits

_BAR_PX = 30
_CLEAR_PX = 6  # between the bar and the lowest label
_STRETCHES = (1.04, 1.15, 1.3, 1.6)


def entropy_bar(full_nats: float, entropy_nats: float, marks: Sequence[Mark]) -> go.Figure:
    """One axis in bits, nats along the top: a bar from 0 to `full_nats` (a uniform guess over the vocabulary), filled
    up to the entropy, with finite marks on it; one beyond the bar lengthens the axis."""
    furthest = max([full_nats, entropy_nats, *(mark.nats for mark in marks)])
    placed = None
    for stretch in _STRETCHES:
        right = max(furthest * stretch, 1e-3)
        labels = [Label(mark.nats / right, _lines(mark)) for mark in marks]
        if (placed := place(labels)) is not None:
            break
    placed = placed or stacked(labels)
    above = _CLEAR_PX + LANE_PX * (1 + max((p.lane for p in placed), default=0)) + 6
    figure = blank(4 + _BAR_PX + above + 104, showlegend=False)
    # One unit of y is one pixel, so that lanes of text keep their distance whatever the width.
    figure.update_layout(
        margin={"l": 12, "r": 12, "t": 52, "b": 52},
        xaxis=axis("bits per token", range=[0, bits(right)], fixedrange=True, showgrid=False, nticks=9),
        xaxis2=axis(
            "nats per token",
            range=[0, right],
            fixedrange=True,
            showgrid=False,
            overlaying="x",
            side="top",
            tickmode="auto",
            nticks=9,
        ),
        yaxis={"range": [-4, _BAR_PX + above], "visible": False, "fixedrange": True},
    )
    figure.add_scatter(x=[0], y=[0], xaxis="x2", mode="markers", marker={"opacity": 0}, hoverinfo="skip")
    drawing = Drawing()
    bar = {"type": "rect", "x0": 0, "y0": 0, "y1": _BAR_PX}
    drawing.shapes.append({**bar, "x1": bits(full_nats), "line": {"color": GREY, "width": 1.5}})
    drawing.shapes.append({**bar, "x1": bits(entropy_nats), "fillcolor": BLUE, "opacity": 0.3, "line": {"width": 0}})
    for mark, flag in zip(marks, placed, strict=True):
        x, end = bits(mark.nats), _BAR_PX + _CLEAR_PX + LANE_PX * (flag.lane + 1)
        drawing.flag(flag, "<br>".join(_lines(mark)), x=x, y=end, foot=_BAR_PX / 2, colour=mark.colour)
        point(figure, mark, x, _BAR_PX / 2)
    drawing.put_on(figure)
    return figure


def _lines(mark: Mark) -> tuple[str, str]:
    return mark.words, f"{numbers.number(bits(mark.nats))} bits"


def entropy_marks(rows: Sequence[tuple[str, float | None, str, str, str]]) -> list[Mark]:
    """(words, nats, colour, symbol, about) as marks; those that are no finite number are left out."""
    return [
        Mark(words, nats, colour, symbol, about=about)
        for words, nats, colour, symbol, about in rows
        if nats is not None and math.isfinite(nats) and nats >= 0
    ]
