"""The ids of one or several shards drawn: how often each occurs, how few cover the text, how long documents are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from diag.charts.style import BLUE, GREY, PINK, TEAL, VIOLET, axis, blank, escape, sample

Curve = tuple[str, npt.NDArray[Any], npt.NDArray[Any]]
"""(name, x, y): one shard's curve."""
Band = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""(x, low, high): where healthy curves lie."""
LOOKS = ((BLUE, "solid", "circle"), (PINK, "dash", "square"), (TEAL, "dot", "diamond"), (VIOLET, "dashdot", "x"))
_LOG = {"type": "log", "exponentformat": "SI", "dtick": 1}
_FEW = 5  # so many ids are points; a line between them would look like a curve


def rank_frequency(audits: Sequence[Curve], band: Band | None = None) -> go.Figure:
    """Each shard's (name, rank, share of all tokens) on two log axes, on the band in which text lies."""
    percent = [(name, rank, 100 * np.asarray(share)) for name, rank, share in audits]
    figure = _curves(percent, "rank %{x:.4g}: %{y:.3g} % of the tokens<extra></extra>")
    if band is not None:
        rank, low, high = band
        figure.add_scatter(
            x=np.concatenate([rank, rank[::-1]]).astype(np.float32),
            y=(100 * np.concatenate([high, low[::-1]])).astype(np.float32),
            mode="lines",
            fill="toself",
            fillcolor="rgba(128,138,152,0.22)",
            line={"color": GREY, "width": 1, "dash": "dot"},
            name="text lies here",
            hoverinfo="skip",
        )
        figure.data = (figure.data[-1], *figure.data[:-1])  # behind the curves
    figure.update_layout(
        height=360,
        showlegend=True,
        xaxis=axis("rank of the id (log)", **_LOG),
        yaxis=axis("share of all tokens, % (log)", **{**_LOG, "exponentformat": "none"}),
    )
    return figure


def coverage(audits: Sequence[Curve]) -> go.Figure:
    """Each shard's (name, ids, share): how much of the text its k most frequent ids make up."""
    percent = [(name, ids, 100 * np.asarray(share)) for name, ids, share in audits]
    figure = _curves(percent, "%{x:,} ids: %{y:.2f} % of the tokens<extra></extra>")
    figure.update_layout(
        xaxis=axis("most frequent ids (log)", **_LOG),
        yaxis=axis("share of all tokens", rangemode="tozero", ticksuffix=" %", range=[0, 103]),
    )
    return figure


def document_lengths(audits: Sequence[Curve]) -> go.Figure:
    """Each shard's (name, tokens, documents): how many documents are about that long."""
    figure = _curves(audits, "about %{x:,.4g} tokens: %{y:,} documents<extra></extra>", shape="hvh")
    figure.update_layout(
        xaxis=axis("tokens in a document (log)", **_LOG), yaxis=axis("documents", rangemode="tozero", tickformat=",")
    )
    return figure


def _curves(audits: Sequence[Curve], hover: str, shape: str = "linear") -> go.Figure:
    figure = blank(380, showlegend=len(audits) > 1)
    for number, (name, x, y) in enumerate(audits):
        colour, dash, symbol = LOOKS[number % len(LOOKS)]
        kept = sample(len(x), 500)
        few = len(x) <= _FEW
        figure.add_scatter(
            x=np.asarray(x, dtype=np.float32)[kept],
            y=np.asarray(y, dtype=np.float32)[kept],
            mode="markers" if few else "lines+markers",
            name=escape(name),
            line={"color": colour, "dash": dash, "shape": shape},
            marker={"symbol": symbol, "size": 12 if few else 6, "color": colour},
            hovertemplate=hover,
        )
    return figure
