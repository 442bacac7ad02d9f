"""Heat maps over depth: components whose own error is above noise, and the stream by layer and position."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from diag.charts.style import BLUE, BROKEN, GREY, MAX_MARKS, PINK, axis, blank, sample
from diag.report import numbers
from diag.results.divergence import ComponentError, Divergence
from diag.results.thresholds import DIVERGES_FLOOR
from diag.results.trace import Trace, TraceRow

_FAINT = "rgba(128,138,152,0.16)"
_ROW_PX, _FRAME_PX = 21, 122
# The bar of colours above takes no part in what plotly works out for the axis below.
_MARGIN = {"l": 10, "r": 10, "t": 66, "b": 56}
_GAPS_TO = 40  # layers; of more, a line between cells would be as wide as they are
_WORST = 1e6  # floors; what lies above has the same colour
_OCTAVES = 2.0  # a stream this many times two apart has the full colour


def components(found: Divergence) -> go.Figure:
    """Own errors in noise floors: a row a component of a layer, in the order of the pass, first on top."""
    rows = list(dict.fromkeys(each.what for each in found.components if each.layer is not None))
    depth = sorted({each.layer for each in found.components if each.layer is not None})
    layers = [depth[i] for i in sample(len(depth), max(1, MAX_MARKS // max(1, len(rows))))]
    by_place = {(each.what, each.layer): each for each in found.components}
    cells = [[by_place.get((what, layer)) for layer in layers] for what in rows]
    figure = blank(_FRAME_PX + _ROW_PX * len(rows), margin=_MARGIN)
    top = math.log10(_WORST)
    figure.add_heatmap(
        x=layers,
        y=rows,
        z=[[_floors(cell) for cell in row] for row in cells],
        zmin=0,
        zmax=top,
        colorscale=[[0, _FAINT], [math.log10(DIVERGES_FLOOR.value) / top, _FAINT], [1, BROKEN]],
        xgap=1 if len(layers) <= _GAPS_TO else 0,
        ygap=1,
        hovertext=[[_error(cell) for cell in row] for row in cells],
        hoverinfo="text",
        colorbar=_bar("own error, in noise floors", [0, 1, 3, 6], ["1", "10", "10³", "10⁶"]),
    )
    first = found.named
    if first and first.layer is not None:
        figure.add_scatter(
            x=[first.layer],
            y=[first.what],
            mode="markers",
            marker={"symbol": "circle-open", "size": 16, "color": GREY, "line": {"width": 3}},
            hoverinfo="skip",
            showlegend=False,
        )
    _name_below(figure)
    figure.update_layout(xaxis=_layers(layers), yaxis=axis("", autorange="reversed", showgrid=False))
    return figure


def stream_by_position(own: Trace, reference: Trace | None = None) -> go.Figure:
    """The stream's root mean square by layer and position: the ratio to the reference's, or without one in its unit."""
    depth = sorted({row.layer for row in own.rows if row.point == "stream" and row.layer is not None})
    spans = [(row.first, row.stop) for row in own.at("stream", depth[0])] if depth else []
    layers = [depth[i] for i in sample(len(depth), max(1, MAX_MARKS // max(1, len(spans))))]
    cells = {(r.layer, r.first): r for r in own.rows if r.point == "stream"}
    beside = {(r.layer, r.first): r for r in reference.rows if r.point == "stream"} if reference else {}
    z = [[_height(cells.get((k, f)), beside.get((k, f)), bool(beside)) for k in layers] for f, _ in spans]
    known = [v for row in z for v in row if v is not None]
    scale = {"zmin": min(known, default=0.0), "zmax": max(known, default=1.0), "colorscale": [[0, _FAINT], [1, BLUE]]}
    if beside:
        scale = {"zmin": -_OCTAVES, "zmax": _OCTAVES, "colorscale": [[0, BLUE], [0.5, _FAINT], [1, PINK]]}
    ticks = ([-2, -1, 0, 1, 2], ["¼", "½", "1", "2", "4"]) if beside else _powers(known)
    figure = blank(_FRAME_PX + _ROW_PX * len(spans), margin=_MARGIN)
    figure.add_heatmap(
        x=layers,
        y=[_span(first, stop) for first, stop in spans],
        z=z,
        **scale,
        xgap=1 if len(layers) <= _GAPS_TO else 0,
        ygap=1,
        hovertext=[[_cell(cells.get((k, f)), beside.get((k, f))) for k in layers] for f, _ in spans],
        hoverinfo="text",
        colorbar=_bar("stream RMS ÷ the reference's" if beside else "stream RMS", *ticks),
    )
    lost = [(k, _span(f, s)) for f, s in spans for k in layers if (r := cells.get((k, f))) and r.nonfinite]
    if lost:
        figure.add_scatter(
            x=[k for k, _ in lost],
            y=[f for _, f in lost],
            mode="markers",
            name="NaN or infinite values",
            marker={"symbol": "x", "size": 9, "color": BROKEN},
            hoverinfo="skip",
            showlegend=True,
        )
    _name_below(figure)
    figure.update_layout(xaxis=_layers(layers), yaxis=axis("position", type="category", showgrid=False))
    return figure


def _floors(cell: ComponentError | None) -> float | None:
    if cell is None:
        return None
    ratio = cell.own / cell.floor if math.isfinite(cell.own) else _WORST
    return math.log10(min(_WORST, max(1.0, ratio)))


def _error(cell: ComponentError | None) -> str:
    if cell is None:
        return ""
    own, floor = numbers.figure(cell.own, 3), numbers.figure(cell.floor, 3)
    return f"{cell.where}<br>own error {own}, noise floor {floor}"


def _height(cell: TraceRow | None, beside: TraceRow | None, compared: bool) -> float | None:
    """log2 of the ratio beside a reference, log10 of the root mean square without; None for what a log cannot show."""
    if cell is None or (compared and beside is None):
        return None
    value = cell.rms / beside.rms if beside and beside.rms > 0 else cell.rms
    if not (math.isfinite(value) and value > 0):
        return None
    return math.log2(value) if beside else math.log10(value)


def _cell(cell: TraceRow | None, beside: TraceRow | None) -> str:
    if cell is None:
        return ""
    text = f"layer {cell.layer}, {_span(cell.first, cell.stop)}<br>stream RMS {numbers.figure(cell.rms)}"
    text += f", the reference's {numbers.figure(beside.rms)}" if beside else ""
    return text + (f"<br>{cell.nonfinite:,} NaN or infinite" if cell.nonfinite else "")


def _span(first: int, stop: int) -> str:
    return f"{first}" if stop - first == 1 else f"{first}–{stop - 1}"


def _powers(known: Sequence[float]) -> tuple[list[float], list[str]]:
    low, high = min(known, default=0.0), max(known, default=1.0)
    at = [low, (low + high) / 2, high]
    return at, [numbers.figure(10.0**v, 2) for v in at]


def _bar(title: str, at: Sequence[float], words: Sequence[str]) -> dict[str, object]:
    return {
        "orientation": "h",  # above the cells: beside them it would leave a phone no room
        "title": {"text": title, "side": "top"},
        "x": 0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        "tickvals": list(at),
        "ticktext": list(words),
        "thickness": 8,
        "outlinewidth": 0,
        "tickangle": 0,
        "len": 0.6,
    }


def _name_below(figure: go.Figure) -> None:
    """The layers' title: with a bar of colours on top, plotly draws an axis' own title over the axis."""
    at = {"x": 0.5, "xref": "paper", "y": 0, "yref": "paper", "yanchor": "top", "yshift": -28}
    figure.add_annotation(text="layer (0 is the first block)", showarrow=False, **at)


def _layers(layers: Sequence[int]) -> dict[str, object]:
    last = max(layers, default=0)
    step = max(1, math.ceil(last / 8))
    return axis("", tick0=0, dtick=step, showgrid=False, range=[-0.5, last + 0.5], automargin=False)
