"""Labels on poles that cannot collide: marks on an axis, told apart on a phone as on a wall."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from diag.charts.style import FONT_PX, LINE_PX, finite
from diag.report import numbers

LANE_PX = 2 * LINE_PX + 4  # a lane holds a label of two lines
_CHAR_PX = 6.6  # mean advance of the interface font at FONT_PX
PHONE_PX = 325  # the plot's width on a screen of 390 px; labels that fit there fit everywhere


@dataclass(frozen=True)
class Mark:
    """One thing on the axis: its words, its place in nats, and how it looks without colour. about: what it is, for
    those who ask; plain words, no markup."""

    words: str
    nats: float
    colour: str
    symbol: str
    size: int = 13
    about: str = ""

    @property
    def label(self) -> tuple[str, str]:
        """Two short lines: the words and the number."""
        return self.words, numbers.nats(self.nats)

    @property
    def hover(self) -> str:
        """The number in every unit, and what it is."""
        number = f"{self.words}: {numbers.in_all_units(self.nats)}"
        return f"{number}<br>{self.about}" if self.about else number


def point(
    figure: go.Figure, mark: Mark, x: float, y: float, stderr_nats: float | None = None, *, ink: str = ""
) -> None:
    """A mark at its place, with its standard error where it has one. ink: its colour instead of its own, with a white
    rim, where it stands on other colours."""
    known = finite(stderr_nats)
    solid = ink and not mark.symbol.endswith("-open")
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers",
        marker={
            "symbol": mark.symbol,
            "size": mark.size,
            "color": ink or mark.colour,
            "line": {"width": 1.5 if solid else 2, "color": "#FFFFFF" if solid else ink or mark.colour},
        },
        error_x={"type": "data", "array": [stderr_nats], "color": ink or mark.colour} if known else None,
        hovertext=mark.hover + (f" ± {numbers.nats(stderr_nats)}" if known else ""),
        hoverinfo="text",
        cliponaxis=False,
        name=mark.words,
    )


@dataclass(frozen=True)
class Label:
    """A text beside a vertical pole at `x` (0 to 1 across the plot). `lines` are short: at most 15 characters. plot_px:
    the narrowest plot that it is drawn on."""

    x: float
    lines: tuple[str, ...]
    plot_px: int = PHONE_PX

    @property
    def share(self) -> float:
        """Width as a share of the narrowest plot."""
        return (max(len(line) for line in self.lines) * _CHAR_PX + 8) / self.plot_px


@dataclass(frozen=True)
class Placed:
    """Where a label goes: lane 0 lies nearest to the axis; `right` is whether the text stands right of its pole."""

    label: Label
    lane: int
    right: bool


def place(labels: Sequence[Label]) -> list[Placed] | None:
    """Lanes and sides for at most eight labels, so that no text covers another text or another label's pole.

    A pole ends at its own lane, so a text that a pole would cross must lie in a higher lane. All 2^n choices of
    sides are tried; the one with the fewest lanes wins, and text to the right of its pole where that is as good.
    None when there is no way: then room to the right helps, because texts that all stand right never block one another.
    """
    best: list[int] | None = None
    sides: tuple[bool, ...] = ()
    if not labels:
        return []
    for right in itertools.product((True, False), repeat=len(labels)):
        if any(not _inside(_span(label, side)) for label, side in zip(labels, right, strict=True)):
            continue
        lanes = _lanes(labels, right)
        if lanes is not None and (best is None or (max(lanes), sum(lanes)) < (max(best), sum(best))):
            best, sides = lanes, right
    if best is None:
        return None
    return [Placed(label, lane, side) for label, lane, side in zip(labels, best, sides, strict=True)]


def stacked(labels: Sequence[Label]) -> list[Placed]:
    """One lane each, on the side with more room: for what `place` cannot do."""
    return [Placed(label, lane, label.x <= 0.5) for lane, label in enumerate(labels)]


def _span(label: Label, right: bool) -> tuple[float, float]:
    return (label.x, label.x + label.share) if right else (label.x - label.share, label.x)


def _inside(span: tuple[float, float]) -> bool:
    return span[0] >= -0.03 and span[1] <= 1.03


def _lanes(labels: Sequence[Label], right: Sequence[bool]) -> list[int] | None:
    """The lowest lanes for these sides, or None when two texts cross each other's poles."""
    n = range(len(labels))
    spans = [_span(label, side) for label, side in zip(labels, right, strict=True)]
    above = {i: {j for j in n if j != i and spans[i][0] < labels[j].x < spans[i][1]} for i in n}
    beside = {i: {j for j in n if j != i and spans[i][0] < spans[j][1] and spans[j][0] < spans[i][1]} for i in n}
    lanes: dict[int, int] = {}
    while len(lanes) < len(labels):
        ready = [i for i in n if i not in lanes and above[i] <= lanes.keys()]
        if not ready:
            return None
        i = ready[0]
        lowest = max((lanes[j] + 1 for j in above[i]), default=0)
        taken = {lanes[j] for j in beside[i] if j in lanes}
        lanes[i] = next(lane for lane in itertools.count(lowest) if lane not in taken)
    return [lanes[i] for i in n]


@dataclass
class Drawing:
    """Shapes and texts of a figure, given to it at once: plotly checks all that it has again for each that is added,
    which was half of what the case page cost."""

    shapes: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)

    def line(self, x: float, y0: float, y1: float, colour: str, *, width: float = 1, dash: str = "solid") -> None:
        """A vertical line; `width` in pixels."""
        style = {"color": colour, "width": width, "dash": dash}
        self.shapes.append({"type": "line", "x0": x, "x1": x, "y0": y0, "y1": y1, "line": style})

    def flag(self, placed: Placed, text: str, *, x: float, y: float, foot: float, colour: str) -> None:
        """A pole from `foot` to the lane, and the text beside its end; y < 0 hangs it."""
        side = "left" if placed.right else "right"
        self.line(x, foot, y, colour, width=1.5)
        self.texts.append(
            {
                "x": x,
                "y": y,
                "text": text,
                "showarrow": False,
                "xanchor": side,
                "yanchor": "top" if y > 0 else "bottom",
                "align": side,
                "xshift": 3 if placed.right else -3,
                "font": {"size": FONT_PX},
            }
        )

    def put_on(self, figure: go.Figure) -> None:
        """Draw them; what the figure had of either is replaced."""
        figure.update_layout(shapes=self.shapes, annotations=self.texts)
