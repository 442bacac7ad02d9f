"""What each repair of a hypothesis does to the loss, drawn. All in nats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from diag.charts.flags import LANE_PX, Drawing, Label, Mark, place, stacked
from diag.charts.style import BLUE, BROKEN, GREY, TEAL, VIOLET, axis, blank, escape, finite
from diag.report import numbers
from diag.results.finding import Finding

ROW_PX = 38
_AT_LEFT: dict[str, Any] = {"x": 0, "xanchor": "left", "yanchor": "bottom", "showarrow": False}
MAX_ROWS = 24
_FAR = 3.0  # a loss beyond this many times every line is drawn at the edge, with an arrow


def repairs(
    finding: Finding, loss_nats: float | None, reference_nats: float | None, chance_nats: float | None
) -> go.Figure:
    """The loss after each repair, lowest first, with ± the standard error of its Δ; at most MAX_ROWS rows.

    Filled circles are own repairs, open diamonds localisers (they say where and never confirm), small open circles
    were only screened on a part of the window. Vertical lines: as loaded, the reference, chance.
    """
    rows = _rows(finding)
    rows, left_out = rows[:MAX_ROWS], max(0, len(rows) - MAX_ROWS)
    lines = [
        Mark(words, value, colour, "line-ns")
        for words, value, colour in (
            ("as loaded", loss_nats, BLUE if loss_nats is None or loss_nats <= (chance_nats or 0.0) else BROKEN),
            ("reference", reference_nats, TEAL),
            ("chance", chance_nats, GREY),
        )
        if value is not None and math.isfinite(value)
    ]
    values = [row.nats for row in rows if math.isfinite(row.nats)] + [line.nats for line in lines]
    cap = _FAR * max((line.nats for line in lines), default=max(values, default=1.0))
    right = 1.06 * min(cap, max(values, default=1.0)) or 1.0
    labels = [Label(min(1.0, line.nats / right), line.label) for line in lines]
    tops = place(labels) or stacked(labels)
    above = LANE_PX * (1 + max((p.lane for p in tops), default=0)) + 4
    body = ROW_PX * max(1, len(rows)) + (ROW_PX if left_out else 0)
    figure = blank(int(above + body + 70), showlegend=False)
    figure.update_layout(
        margin={"l": 12, "r": 12, "t": 10, "b": 60},
        xaxis=axis("loss after the repair, nats per token", range=[0, right], fixedrange=True, nticks=9),
        yaxis={"range": [-body, above], "visible": False, "fixedrange": True},
    )
    drawing = Drawing()
    for line, top in zip(lines, tops, strict=True):
        drawing.flag(top, "<br>".join(line.label), x=line.nats, y=LANE_PX * (top.lane + 1), foot=0, colour=line.colour)
    places = [(row, -ROW_PX * (number + 1) + 10) for number, row in enumerate(rows)]
    strokes = [_stroke(line.nats, line.nats, y - 7, y + 7, line.colour, 2, 0.8) for _, y in places for line in lines]
    notes = [_note(row, y, right) for row, y in places]
    if left_out:
        notes.append({**_AT_LEFT, "y": -body + 8, "text": f"{left_out} more repairs are in the table"})
    drawn = [(row, min(row.nats, right), y) for row, y in places if math.isfinite(row.nats)]
    if loss_nats is not None and math.isfinite(loss_nats):
        start = min(loss_nats, right)
        strokes += [_stroke(start, x, y, y, row.colour, 4, 0.35 * row.opacity) for row, x, y in drawn]
    for symbol in dict.fromkeys(row.symbol for row, _, _ in drawn):
        _points(figure, [one for one in drawn if one[0].symbol == symbol])
    drawing.shapes += strokes
    drawing.texts += notes
    drawing.put_on(figure)
    return figure


@dataclass(frozen=True)
class _Row:
    words: str
    nats: float
    stderr: float | None
    symbol: str
    colour: str
    opacity: float
    hover: str


def _rows(finding: Finding) -> list[_Row]:
    rows = []
    for r in finding.repairs:
        share = f", {numbers.percent(r.share)} of the excess" if finite(r.share) else ""
        noise = r.stderr_nats if finite(r.stderr_nats) else None
        delta = f", Δ {numbers.plus_minus(r.delta_nats, noise, signed=True)} nats" if finite(r.delta_nats) else ""
        words = escape(r.name) + (" (localiser)" if r.localiser else "")
        hover = f"{words}: {numbers.nats(r.loss_nats)}{delta}{share}"
        symbol, colour = ("diamond-open", VIOLET) if r.localiser else ("circle", BLUE)
        rows.append(_Row(words, r.loss_nats, r.stderr_nats, symbol, colour, 1.0, hover))
    for s in finding.screened:
        words = f"{escape(s.name)} ({'localiser, ' if s.localiser else ''}screened)"
        hover = f"{words}: {numbers.nats(s.loss_nats)} on {s.sequences} sequences only; no verdict rests on it"
        rows.append(_Row(words, s.loss_nats, None, "circle-open", GREY, 0.75, hover))
    measured = len(finding.repairs)
    key = lambda row: row.nats if math.isfinite(row.nats) else math.inf  # noqa: E731
    return sorted(rows[:measured], key=key) + sorted(rows[measured:], key=key)


def _note(row: _Row, y: float, right: float) -> dict[str, Any]:
    """The words above a row."""
    known = math.isfinite(row.nats)
    text = numbers.nats(row.nats) if known else "the loss is not finite"
    arrow = " →" if known and row.nats > right else ""
    return {**_AT_LEFT, "y": y + 5, "text": f"{row.words}: {text}{arrow}", "opacity": row.opacity}


def _stroke(x0: float, x1: float, y0: float, y1: float, colour: str, width: int, opacity: float) -> dict[str, Any]:  # noqa: PLR0917
    line = {"color": colour, "width": width}
    return {"type": "line", "x0": x0, "x1": x1, "y0": y0, "y1": y1, "line": line, "opacity": opacity}


def _points(figure: go.Figure, drawn: Sequence[tuple[_Row, float, float]]) -> None:
    """The rows of one kind as one trace, with the errors that are known."""
    first = drawn[0][0]
    errors = [row.stderr if finite(row.stderr) else 0.0 for row, _, _ in drawn]
    marker = {"symbol": first.symbol, "size": 8 if first.opacity < 1 else 13, "color": first.colour}
    figure.add_scatter(
        x=[x for _, x, _ in drawn],
        y=[y for _, _, y in drawn],
        mode="markers",
        marker={**marker, "line": {"width": 2, "color": first.colour}},
        error_x={"type": "data", "array": errors, "color": first.colour} if any(errors) else None,
        hovertext=[row.hover for row, _, _ in drawn],
        hoverinfo="text",
        cliponaxis=False,
    )
