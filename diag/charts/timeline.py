"""Losses over epochs or steps, several runs in one chart, with chance and the entropy of the data as lines."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from diag.charts.style import BLUE, BROKEN, GREY, MAX_MARKS, PINK, TEAL, VIOLET, axis, blank

_COLOURS = (BLUE, PINK, TEAL, VIOLET, GREY)
_DASHES = ("solid", "dash", "dot", "dashdot")

Line = tuple[str, Sequence[tuple[float, float, str]]]
"""A name, and (where, nats, citation) for each point."""


def timeline(lines: Sequence[Line], axis_name: str, *, chance: float | None, entropy: float | None) -> go.Figure:
    """One line a series; hovering a point shows its citation. At most 2,000 points, every n-th of more."""
    figure = blank(
        420,
        xaxis=axis(axis_name, fixedrange=True, rangemode="tozero"),
        yaxis=axis("loss, nats per token", fixedrange=True, rangemode="tozero"),
        margin={"l": 10, "r": 110, "t": 30, "b": 10},
    )
    every = max(1, sum(len(points) for _, points in lines) // MAX_MARKS + 1)
    for number, (name, points) in enumerate(lines):
        kept = [*points[::every]]
        figure.add_scatter(
            x=[where for where, _, _ in kept],
            y=[nats for _, nats, _ in kept],
            customdata=[place for _, _, place in kept],
            name=name,
            mode="lines+markers",
            marker={"size": 7},
            line={"color": _COLOURS[number % len(_COLOURS)], "dash": _DASHES[number // len(_COLOURS) % len(_DASHES)]},
            hovertemplate=f"{axis_name} %{{x}}: %{{y:.4g}} nats<br>%{{customdata}}<extra></extra>",
        )
    for nats, words, colour in ((chance, "chance", BROKEN), (entropy, "unigram entropy", GREY)):
        if nats is not None:
            text = f"{words}<br>{nats:.3g}"
            figure.add_hline(y=nats, line={"color": colour, "dash": "dot"}, annotation={"text": text, "x": 1.01})
            figure.layout.annotations[-1].update(xanchor="left", showarrow=False, xref="paper")
    return figure
