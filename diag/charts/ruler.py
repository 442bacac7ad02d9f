"""The ruler that every loss is held against, drawn. All in nats, with bits along the top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from diag.charts.flags import LANE_PX, Drawing, Label, Mark, Placed, place, point, stacked
from diag.charts.style import BLUE, GREY, TEAL, VIOLET, axis, blank
from diag.report import numbers
from diag.report.look import ZONE_FILL, look
from diag.results.ruler import Ruler, Zone, zone, zone_bounds
from diag.units import Claim, bits

BAND_PX = 46
ON_BAND = "#0F172A"  # marks, with a white rim: seen on every zone
_FAR = 3.0  # a loss beyond this many times every other mark is drawn at the edge, with an arrow
_STRETCHES = (1.0, 1.08, 1.2, 1.35, 1.6)

_BIGRAM = "held-out bigram: what the id before predicts, learnt from the rest of the shard"

_WORDS: dict[Zone, tuple[str, ...]] = {
    "too_good": ("too good", "for this data"),
    "plausible": ("plausible",),
    "no_better_than_bigram": ("no better than", "bigram"),
    "no_better_than_unigram": ("no better than", "unigram"),
    "about_chance": ("about chance",),
    "worse_than_chance": ("worse than", "chance"),
}
_Zone = tuple[tuple[str, ...], float, float, Zone]


def ruler(
    loss_nats: float | None,
    ruler: Ruler,
    *,
    claim: Claim | None = None,
    gate_below: float | None = None,
    stderr_nats: float | None = None,
) -> go.Figure:
    """One axis in nats, bits along the top: the loss, its marks, and the zones. About 12 marks.

    A loss that is not finite is said and not drawn; one far beyond the rest stands at the edge with an arrow.
    """
    marks = _marks(ruler, claim, gate_below)
    right = 1.06 * max(mark.nats for mark in marks)
    loss = loss_nats if loss_nats is not None and math.isfinite(loss_nats) else None
    beyond = loss is not None and loss > _FAR * right
    if loss is not None:
        right = right * 1.2 if beyond else max(right, 1.06 * loss)
        marks.append(Mark("loss", loss, _loss_colour(loss, ruler), "triangle-right" if beyond else "diamond", 20))
    at = _arrange(marks, ruler, right)
    right, shown, zones, tops, feet = at.right, at.shown, at.zones, at.tops, at.feet
    above = LANE_PX * (1 + max(p.lane for p in tops)) + 8
    below = LANE_PX * (1 + max(p.lane for p in feet)) + 8
    figure = blank(int(above + BAND_PX + below + 104), showlegend=False)
    # One unit of y is one pixel, so that lanes of text keep their distance whatever the width.
    figure.update_layout(
        margin={"l": 12, "r": 12, "t": 52, "b": 52},
        xaxis=axis("loss, nats per token", range=[0, right], fixedrange=True, showgrid=False, nticks=9),
        xaxis2=axis(
            "bits per token",
            range=[0, bits(right)],
            fixedrange=True,
            showgrid=False,
            overlaying="x",
            side="top",
            tickmode="auto",
            nticks=9,
        ),
        yaxis={"range": [-below, BAND_PX + above], "visible": False, "fixedrange": True},
    )
    drawing = Drawing()
    if ruler.border_nats is not None:
        drawing.line(ruler.border_nats, 0, BAND_PX, GREY, dash="dot")
    figure.add_scatter(x=[0], y=[0], xaxis="x2", mode="markers", marker={"opacity": 0}, hoverinfo="skip")
    for (words, a, b, where), foot in zip(zones, feet, strict=True):
        band = {"type": "rect", "x0": a, "x1": b, "y0": 0, "y1": BAND_PX, "line": {"width": 0}}
        drawing.shapes.append({**band, "fillcolor": ZONE_FILL[where], "layer": "below"})
        drawing.line(b, 0, BAND_PX, GREY)
        drawing.flag(foot, "<br>".join(words), x=(a + b) / 2, y=-LANE_PX * (foot.lane + 1), foot=0, colour=GREY)
    for mark, x, top in zip(marks, shown, tops, strict=True):
        text = "<br>".join(mark.label)
        words_of = f"<b>{text}</b>" if mark.words == "loss" else text
        end = BAND_PX + LANE_PX * (top.lane + 1)
        drawing.flag(top, words_of, x=x, y=end, foot=BAND_PX / 2, colour=mark.colour)
        point(figure, mark, x, BAND_PX / 2, stderr_nats if mark.words == "loss" else None, ink=ON_BAND)
    if loss_nats is not None and loss is None:
        middle = {"x": right / 2, "y": BAND_PX / 2, "showarrow": False}
        drawing.texts.append({**middle, "text": "<b>the loss is not finite</b>"})
    drawing.put_on(figure)
    return figure


@dataclass(frozen=True)
class _Arranged:
    """The axis' end in nats, where the marks stand on it, the zones, and the labels of both."""

    right: float
    shown: list[float]
    zones: list[_Zone]
    tops: list[Placed]
    feet: list[Placed]


def _arrange(marks: Sequence[Mark], ruler: Ruler, right: float) -> _Arranged:
    """Lengthen the axis step by step until all labels find a place."""
    for stretch in _STRETCHES:
        end = right * stretch
        shown = [min(mark.nats, end * 0.985) for mark in marks]
        zones = _zones(ruler, end)
        above = [Label(x / end, mark.label) for x, mark in zip(shown, marks, strict=True)]
        below = [Label((a + b) / 2 / end, words) for words, a, b, _ in zones]
        tops, feet = place(above), place(below)
        if tops is not None and feet is not None:
            break
    return _Arranged(end, shown, zones, tops or stacked(above), feet or stacked(below))


def _loss_colour(loss: float, ruler: Ruler) -> str:
    """That of the zone, where the zone asks for a look."""
    found = look(zone(loss, ruler))
    return BLUE if found.tone == "neutral" else found.ink.chart


def _marks(ruler: Ruler, claim: Claim | None, gate_below: float | None) -> list[Mark]:
    wanted: list[tuple[str, float | None, str, str]] = [
        ("reference", ruler.reference_nats, TEAL, "circle"),
        ("bigram", ruler.bigram_nats, GREY, "square-open"),
        ("unigram", ruler.unigram_nats, GREY, "square"),
        ("chance ln V", ruler.chance_nats, GREY, "triangle-up"),
        ("claim", claim.nats if claim else None, VIOLET, "x"),
        ("gate: below", gate_below, GREY, "line-ns-open"),
    ]
    border = ruler.border_nats
    about = {"bigram": _BIGRAM if border is None else f"{_BIGRAM}; dotted: its border, {numbers.nats(border)}"}
    return [
        Mark(w, v, c, s, about=about.get(w, ""))
        for w, v, c, s in wanted
        if v is not None and math.isfinite(v) and v >= 0
    ]


def _zones(ruler: Ruler, right: float) -> list[_Zone]:
    """(words, from, to, zone) of the zones that have any width."""
    return [(_WORDS[where], a, b, where) for where, a, b in zone_bounds(ruler, right)]
