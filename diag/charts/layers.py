"""Layers drawn: norms of the stream and of what each block adds to it, and the logit lens. Reference dashed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go

from diag.charts.style import BLUE, BROKEN, GREY, PINK, TEAL, axis, blank, sample
from diag.report import numbers
from diag.results.baseline import LayerProbe
from diag.results.ruler import Ruler

_ROOMY = 40  # layers; of more the marks would cover the lines
_MAX_LAYERS = 200  # six lines of this many points stay below the bound on marks

_Series = tuple[str, Callable[[LayerProbe], float], str, str]

_NORMS: tuple[_Series, ...] = (
    ("stream", lambda p: p.residual_rms, BLUE, "circle"),
    ("attention", lambda p: p.attention_rms, PINK, "square"),
    ("MLP", lambda p: p.mlp_rms, TEAL, "diamond"),
)
_SHARES: tuple[_Series, ...] = (
    ("attention / stream", lambda p: p.attention_share, PINK, "square"),
    ("MLP / stream", lambda p: p.mlp_share, TEAL, "diamond"),
)


def layers(own: Sequence[LayerProbe], reference: Sequence[LayerProbe] = ()) -> go.Figure:
    """Root mean squares per layer on a log axis. An update of 0 and a layer that is not finite are marked."""
    return _lines(own, reference, _NORMS, "root mean square (log)", 420)


def shares(own: Sequence[LayerProbe], reference: Sequence[LayerProbe] = ()) -> go.Figure:
    """‖update‖ / ‖stream it is added to‖ per layer, log axis: 0 adds nothing, far above 1 drowns the stream."""
    return _lines(own, reference, _SHARES, "share of the stream (log)", 340)


def logit_lens(
    own: Sequence[LayerProbe], reference: Sequence[LayerProbe] = (), ruler: Ruler | None = None
) -> go.Figure:
    """The loss if the head read the stream after each layer; chance, the unigram and the bigram as horizontal lines."""
    figure = blank(380)
    lens = lambda p: math.nan if p.logit_lens_nats is None else p.logit_lens_nats  # noqa: E731
    _line(figure, own, ("loss as loaded", lens, BLUE, "circle"), dashed=False)
    _line(figure, reference, ("loss", lens, TEAL, "circle"), dashed=True)
    if reference:
        _key(figure)
    if ruler:
        for words, value, dash, side in _levels(ruler):
            figure.add_hline(
                y=value,
                line={"color": GREY, "dash": dash, "width": 1.5},
                annotation_text=f"{words} {numbers.nats(value)}",
                annotation_position=f"{side} right",
            )
    figure.update_layout(xaxis=_layer_axis(own), yaxis=axis("loss, nats per token", rangemode="tozero"))
    return figure


def _levels(ruler: Ruler) -> list[tuple[str, float, str, str]]:
    """(words, nats, dash, side of the line where the words stand): the lower of counts and pairs has them below."""
    counts, pairs = ruler.unigram_mark, ruler.bigram_nats
    levels = [("chance", ruler.chance_nats, "dash", "top")]
    if pairs is not None:
        levels.append(("bigram", pairs, "dashdot", "bottom" if pairs <= counts else "top"))
    return [*levels, ("unigram", counts, "dot", "bottom" if pairs is not None and counts < pairs else "top")]


def _lines(
    own: Sequence[LayerProbe], reference: Sequence[LayerProbe], series: tuple[_Series, ...], title: str, height: int
) -> go.Figure:
    figure = blank(height)
    for one in series:
        _line(figure, own, one, dashed=False)
    for one in series:
        _line(figure, reference, one, dashed=True)
    if reference:
        _key(figure)
    positive = [v for probes in (own, reference) for p in probes for s in series if _drawable(v := s[1](p))]
    low = min(positive, default=0.1) / 3
    _dead(figure, own, series, low)
    for probe in [p for p in own if p.nonfinite][:_MAX_LAYERS]:
        figure.add_vline(x=probe.index, line={"color": BROKEN, "dash": "dot", "width": 2}, opacity=0.8)
    broken = [p.index for p in own if p.nonfinite]
    if broken:
        side = {"xanchor": "right", "xshift": -4} if broken[0] > len(own) / 2 else {"xanchor": "left", "xshift": 4}
        text = f"not finite from layer {broken[0]}"
        figure.add_annotation(x=broken[0], y=1, yref="paper", yanchor="top", text=text, showarrow=False, **side)
    figure.update_layout(
        xaxis=_layer_axis(own), yaxis=axis(title, type="log", tickformat="~g", dtick=_decades(positive))
    )
    return figure


def _line(figure: go.Figure, probes: Sequence[LayerProbe], series: _Series, *, dashed: bool) -> None:
    if not probes:
        return
    words, value, colour, symbol = series
    name = f"{words}, reference" if dashed else words
    many = len(probes) > _ROOMY
    size = (5 if dashed else 4) if many else (14 if dashed else 8)
    kept = [probes[i] for i in sample(len(probes), _MAX_LAYERS)]
    y = np.array([v if math.isfinite(v := value(p)) and v > 0 else math.nan for p in kept], dtype=np.float32)
    figure.add_scatter(
        x=np.array([p.index for p in kept], dtype=np.int32),
        y=y,
        mode="lines" if many and dashed else "lines+markers",
        name=name,
        line={"color": colour, "width": 1.5 if dashed else 2.5, "dash": "dash" if dashed else "solid"},
        marker={"symbol": f"{symbol}-open" if dashed else symbol, "size": size, "color": colour},
        opacity=0.85 if dashed else 1.0,
        showlegend=not dashed,
        connectgaps=False,
        hovertemplate=f"layer %{{x}}, {name}: %{{y:.4g}}<extra></extra>",
    )


def _key(figure: go.Figure) -> None:
    """One entry of the legend for all dashed lines: on a phone there is no room for one each."""
    line = {"color": GREY, "dash": "dash", "width": 1.5}
    figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name="dashed, open: the reference")


def _dead(figure: go.Figure, own: Sequence[LayerProbe], series: tuple[_Series, ...], low: float) -> None:
    """Updates of exactly 0, which a log axis cannot show, as arrows at the lower edge."""
    found = [(p.index, s[0]) for p in own for s in series if s[1](p) == 0]
    if found:
        figure.add_scatter(
            x=[index for index, _ in found],
            y=[low] * len(found),
            mode="markers",
            name="exactly 0",
            marker={"symbol": "triangle-down", "size": 15, "color": BROKEN},
            hovertext=[f"layer {index}, {words}: exactly 0" for index, words in found],
            hoverinfo="text",
        )


def _decades(values: Sequence[float]) -> float | str:
    """Tick labels of a log axis: every power of ten over a long range, 1, 2 and 5 over a short one."""
    span = math.log10(max(values) / min(values)) if values else 0.0
    return "D2" if span < 1.5 else max(1.0, math.ceil(span / 6))


def _drawable(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _layer_axis(own: Sequence[LayerProbe]) -> dict[str, object]:
    last = max((p.index for p in own), default=0)
    return axis("layer (0 is the first block)", range=[-0.5, last + 0.5], tick0=0, dtick=max(1, math.ceil(last / 12)))
