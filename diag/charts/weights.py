"""Weights drawn: head against embedding, one tensor's values, and how its rows and columns are spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from diag.charts.shard import LOOKS
from diag.charts.style import BLUE, GREY, axis, blank, escape, sample
from diag.checkpoints import Profile, TensorProfile

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


def row_cosines(cosines: Array) -> go.Figure:
    """How many rows of the head point where the embedding's row points: all at 1 when it is a copy, around 0 when it
    is random."""
    counts, edges = np.histogram(cosines[np.isfinite(cosines)].clip(-1, 1), bins=_BINS, range=(-1, 1))
    figure = blank(400)
    figure.add_bar(
        x=((edges[:-1] + edges[1:]) / 2).astype(np.float32),
        y=counts.astype(np.float32),
        marker={"color": BLUE},
        hovertemplate="cosine about %{x:.2f}: %{y:,} rows<extra></extra>",
    )
    figure.update_layout(
        bargap=0,
        xaxis=axis("cosine between the head's row and the embedding's", range=[-1.05, 1.05]),
        yaxis=axis("rows", rangemode="tozero"),
    )
    return figure


def values(views: Sequence[tuple[str, TensorProfile]]) -> go.Figure:
    """How the values of a tensor are spread, each checkpoint's on the same axes; logarithmic, so that tails show."""
    figure = blank(330)
    for number, (name, view) in enumerate(views):
        colour, dash, _ = LOOKS[number % len(LOOKS)]
        total = max(1, int(view.counts.sum()))
        floor = 0.5 / total  # an empty bin lies half an element low, so that the line does not break
        figure.add_scatter(
            x=((view.edges[:-1] + view.edges[1:]) / 2).astype(np.float32),
            y=np.maximum(view.counts / total, floor).astype(np.float32),
            mode="lines",
            name=escape(name),
            line={"color": colour, "dash": dash, "shape": "hvh"},
            customdata=view.counts.astype(np.float32),
            hovertemplate="about %{x:.4g}: %{customdata:,} elements<extra></extra>",
        )
    figure.update_layout(
        xaxis=axis("value"),
        yaxis=axis("share of elements (log)", type="log", dtick=1, exponentformat="power"),
        showlegend=len(views) > 1,
    )
    return figure


def profile(named: Sequence[tuple[str, Profile]], along: str) -> go.Figure:
    """Norms along one axis of a tensor; where a point stands for several, the band is from the least to the largest."""
    figure = blank(300)
    for number, (name, found) in enumerate(named):
        colour, dash, _ = LOOKS[number % len(LOOKS)]
        x = found.start.astype(np.float32)
        if len(x) < found.count:
            figure.add_scatter(
                x=np.concatenate([x, x[::-1]]),
                y=np.concatenate([found.high, found.low[::-1]]).astype(np.float32),
                fill="toself",
                mode="lines",
                line={"width": 0, "color": colour},
                opacity=0.25,
                hoverinfo="skip",
                showlegend=False,
            )
        figure.add_scatter(
            x=x,
            y=found.mean.astype(np.float32),
            mode="lines" if len(x) > 1 else "markers",
            name=escape(name),
            line={"color": colour, "dash": dash, "width": 1.5},
            hovertemplate=f"{along} %{{x:,}}: %{{y:.4g}}<extra></extra>",
        )
    what = named[0][1].what if named else ""
    positive = what.startswith("norm")
    figure.update_layout(
        xaxis=axis(along),
        yaxis=axis(what, **({"rangemode": "tozero"} if positive else {})),
        showlegend=len(named) > 1,
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
