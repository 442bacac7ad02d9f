"""The ids of one or several shards drawn: how often each occurs, how few cover the text, how long documents are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from diag.ui.charts.style import BLUE, PINK, TEAL, VIOLET, axis, blank, escape, sample

Curve = tuple[str, npt.NDArray[Any], npt.NDArray[Any]]
"""(name, x, y): one shard's curve."""
LOOKS = ((BLUE, "solid", "circle"), (PINK, "dash", "square"), (TEAL, "dot", "diamond"), (VIOLET, "dashdot", "x"))
_LOG = {"type": "log", "exponentformat": "SI", "dtick": 1}


def rank_frequency(audits: Sequence[Curve]) -> go.Figure:
    """Each shard's (name, rank, count) on two log axes; text falls off along a line, a broken shard drops at once."""
    figure = _curves(audits, "rank %{x:.4g}: %{y:,.4g} times<extra></extra>")
    figure.update_layout(xaxis=axis("rank of the id (log)", **_LOG), yaxis=axis("occurrences (log)", **_LOG))
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
    figure = blank(380)
    for number, (name, x, y) in enumerate(audits):
        colour, dash, symbol = LOOKS[number % len(LOOKS)]
        kept = sample(len(x), 500)
        figure.add_scatter(
            x=np.asarray(x, dtype=np.float32)[kept],
            y=np.asarray(y, dtype=np.float32)[kept],
            mode="lines+markers",
            name=escape(name),
            line={"color": colour, "dash": dash, "shape": shape},
            marker={"symbol": symbol, "size": 6},
            hovertemplate=hover,
        )
    figure.update_layout(showlegend=len(audits) > 1)
    return figure
