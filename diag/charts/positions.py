"""The loss by position, drawn: as loaded, and of the reference or after the repairs."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from diag.charts.style import BLUE, TEAL, axis, blank
from diag.results.positions import ByPosition


def positions(found: ByPosition) -> go.Figure:
    """Mean losses in nats with their standard errors, by buckets of positions each as long as all before it."""
    figure = blank(300)
    where = [f"{row.first}" if row.first == row.last else f"{row.first}–{row.last}" for row in found.rows]
    _line(figure, where, [(row.nats, row.stderr) for row in found.rows], "as loaded", BLUE)
    if found.other:
        theirs = [(row.other_nats or 0.0, row.other_stderr or 0.0) for row in found.rows]
        _line(figure, where, theirs, found.other, TEAL, dashed=True)
    figure.update_layout(
        xaxis=axis("position in the sequence (0 is the first prediction)", type="category"),
        yaxis=axis("loss, nats per token", rangemode="tozero"),
    )
    return figure


def _line(
    figure: go.Figure,
    where: Sequence[str],
    values: Sequence[tuple[float, float]],
    name: str,
    colour: str,
    *,
    dashed: bool = False,
) -> None:
    figure.add_scatter(
        x=list(where),
        y=[nats for nats, _ in values],
        error_y={"type": "data", "array": [error for _, error in values], "color": colour},
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 1.5 if dashed else 2.5, "dash": "dash" if dashed else "solid"},
        marker={"symbol": "circle-open" if dashed else "circle", "size": 10, "color": colour},
        hovertemplate=f"positions %{{x}}, {name}: %{{y:.3f}}<extra></extra>",
    )
