"""Weights drawn: row norms of head and embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from diag.ui.charts_shard import LOOKS
from diag.ui.charts_style import BLUE, GREY, axis, blank, sample

Array = npt.NDArray[np.floating]
_BINS = 60


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
        colour, dash, _ = LOOKS[number % len(LOOKS)]
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
