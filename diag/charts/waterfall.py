"""From the loss as loaded down to the repaired one: what each accepted repair is worth. All in nats."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from diag.charts.style import BROKEN, GREY, TEAL, axis, blank, escape
from diag.report import numbers
from diag.report.look import ZONE_FILL
from diag.results.diagnosis import Joint
from diag.results.ruler import Ruler, zone_bounds

STEP_PX = 44


def waterfall(loss_nats: float, joint: Joint, ruler: Ruler) -> go.Figure | None:
    """A bar for the loss as loaded, one down for each hypothesis by what it is worth (its Shapley value), and one for
    what all leave, over the zones of the ruler; None where a worth or a loss is not known."""
    worth = [(id, nats) for id, nats in joint.attribution.items() if nats is not None and math.isfinite(nats)]
    if not worth or len(worth) < len(joint.attribution) or not math.isfinite(loss_nats):
        return None
    names = ["as loaded", *(f"{escape(id)} repaired" for id, _ in worth), "all repaired"]
    told = (numbers.nats(loss_nats), *(f"−{numbers.number(n)}" for _, n in worth), numbers.nats(joint.loss_nats))
    figure = blank(STEP_PX * len(names) + 110, showlegend=False)
    figure.add_waterfall(
        orientation="h",
        measure=["absolute", *["relative"] * len(worth), "total"],
        y=names,
        x=[loss_nats, *(-nats for _, nats in worth), 0.0],
        text=[f"{one}\u2003" for one in told],
        textposition="inside",
        insidetextfont={"color": "#FFFFFF"},
        connector={"line": {"color": GREY, "width": 1}},
        decreasing={"marker": {"color": "#0B6F7C"}},
        increasing={"marker": {"color": "#B91C1C"}},
        totals={"marker": {"color": "#0F172A", "line": {"color": "#FFFFFF", "width": 1}}},
        hoverinfo="text",
    )
    right = 1.06 * max(loss_nats, ruler.chance_nats)
    bands = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": a, "x1": b, "y0": 0, "y1": 0.06, "layer": "below"}
        | {"fillcolor": ZONE_FILL[where], "line": {"width": 0}}
        for where, a, b in zone_bounds(ruler, right)
    ]
    lines = [
        {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}
        | {"line": {"color": colour, "width": 1.5, "dash": "dot"}}
        for x, colour in ((ruler.reference_nats, TEAL), (ruler.chance_nats, BROKEN))
        if x is not None
    ]
    figure.update_layout(
        shapes=[*bands, *lines],
        xaxis=axis("loss, nats per token", range=[0, right], fixedrange=True),
        # A picture of the chart is set in another font, which may be wider: the spaces leave room.
        yaxis={"autorange": "reversed", "fixedrange": True, "automargin": True, "tickprefix": "\u2003"},
        margin={"l": 10, "r": 10, "t": 10, "b": 40},
    )
    return figure
