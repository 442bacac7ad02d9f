"""Data and weights drawn: rank and frequency of ids, and row norms of head and embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from diag.ui.charts_style import BLUE, GREEN, GREY, ORANGE, VIOLET, axis, blank, escape, sample

Array = npt.NDArray[np.floating]
_LOOKS = ((BLUE, "solid", "circle"), (ORANGE, "dash", "square"), (GREEN, "dot", "diamond"), (VIOLET, "dashdot", "x"))
_BINS = 60


def rank_frequency(audits: Sequence[tuple[str, Array, Array]]) -> go.Figure:
    """Each shard's (name, rank, count) on two log axes; text falls off along a line, a broken shard drops at once."""
    figure = blank(380)
    for number, (name, rank, count) in enumerate(audits):
        colour, dash, symbol = _LOOKS[number % len(_LOOKS)]
        kept = sample(len(rank), 500)
        figure.add_scatter(
            x=np.asarray(rank, dtype=np.float32)[kept],
            y=np.asarray(count, dtype=np.float32)[kept],
            mode="lines+markers",
            name=escape(name),
            line={"color": colour, "dash": dash},
            marker={"symbol": symbol, "size": 6},
            hovertemplate="rank %{x:.4g}: %{y:,.4g} times<extra></extra>",
        )
    log = {"type": "log", "exponentformat": "SI", "dtick": 1}
    figure.update_layout(
        xaxis=axis("rank of the id (log)", **log),
        yaxis=axis("occurrences (log)", **log),
        showlegend=len(audits) > 1,
    )
    return figure


def row_norms(embedding: Array, head: Array | None = None) -> go.Figure:
    """Norms of the same rows in both matrices, one point a token: a tied head lies on the diagonal, a random one in a
    flat stripe. Without a head, how the embedding's norms are spread. Rows beyond 2,000 are thinned evenly."""
    if head is None or len(head) != len(embedding):
        return _spread([("embedding", embedding)] + ([("head", head)] if head is not None else []))
    both = np.isfinite(embedding) & np.isfinite(head)
    x, y = np.asarray(embedding, np.float32)[both], np.asarray(head, np.float32)[both]
    kept = sample(len(x), 1_900)
    figure = blank(400)
    if kept:
        edge = float(max(x.max(), y.max())) * 1.05
        figure.add_scatter(
            x=[0, edge], y=[0, edge], mode="lines", name="equal", line={"color": GREY, "dash": "dash"}, hoverinfo="skip"
        )
    figure.add_scatter(
        x=x[kept],
        y=y[kept],
        mode="markers",
        name="one row each",
        marker={"color": BLUE, "size": 5, "opacity": 0.6},
        hovertemplate="embedding row %{x:.4g}, head row %{y:.4g}<extra></extra>",
    )
    figure.update_layout(
        xaxis=axis("norm of the embedding's row", rangemode="tozero"),
        yaxis=axis("norm of the head's row", rangemode="tozero"),
    )
    return figure


def _spread(named: Sequence[tuple[str, Array]]) -> go.Figure:
    figure = blank(320)
    for number, (name, norms) in enumerate(named):
        colour, dash, _ = _LOOKS[number % len(_LOOKS)]
        counts, edges = np.histogram(norms[np.isfinite(norms)], bins=_BINS)
        figure.add_scatter(
            x=((edges[:-1] + edges[1:]) / 2).astype(np.float32),
            y=counts.astype(np.float32),
            mode="lines",
            name=name,
            line={"color": colour, "dash": dash, "shape": "hvh"},
            fill="tozeroy",
            hovertemplate="norm %{x:.4g}: %{y:,} rows<extra></extra>",
        )
    figure.update_layout(xaxis=axis("norm of a row"), yaxis=axis("rows", rangemode="tozero"), showlegend=len(named) > 1)
    return figure
