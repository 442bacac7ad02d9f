"""Where everything stands on the ruler, once, for the page's HTML and for the picture that a link unfurls with."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from diag.charts.flags import PHONE_PX, Label, Placed, place, stacked
from diag.report import numbers
from diag.report.look import ZONE_FILL
from diag.results.ruler import ZONE_WORDS, Ruler, Zone, zone_bounds
from diag.units import Claim

FAR = 3.0  # a loss beyond this many times every other mark stands at the edge
STRETCHES = (1.0, 1.08, 1.2, 1.35, 1.6)
LANE_PX, BAND_PX = 36, 34
WIDE_PX = 640  # from this width on labels lie in fewer lanes: what stands below the ruler is on the first screen
STEPS = (0.5, 1, 2, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Flag:
    """A mark: what it is, where it stands (0 to 1), its lane above the band and the side of its text. beyond: it lies
    farther out than is drawn."""

    kind: str
    words: str
    nats: float
    at: float
    placed: Placed
    beyond: bool = False

    @property
    def number(self) -> str:
        """The number with its unit."""
        return numbers.nats(self.nats)


@dataclass(frozen=True)
class RulerLayout:
    """right: the end of the axis in nats; bands: (zone, from, to) from 0 to 1; ticks: whole steps in nats."""

    right: float
    bands: tuple[tuple[Zone, float, float], ...]
    flags: tuple[Flag, ...]
    ticks: tuple[float, ...]
    not_finite: bool = False

    @property
    def lanes(self) -> int:
        """How many lanes the labels take."""
        return 1 + max((flag.placed.lane for flag in self.flags), default=0)

    @property
    def says(self) -> str:
        """All of it in words, for those who do not see it."""
        told = ", ".join(f"{flag.words} {flag.number}" for flag in self.flags)
        return f"{'The loss is not finite; ' if self.not_finite else ''}{told}"


def layout(
    ruler: Ruler,
    loss_nats: float | None = None,
    repaired_nats: float | None = None,
    *,
    claim: Claim | None = None,
    gate_below: float | None = None,
    plot_px: int = PHONE_PX,
) -> RulerLayout:
    """The ruler with these losses on it. plot_px: the narrowest place that its labels must fit; on a phone's they fit
    everywhere."""
    named: list[tuple[str, str, float | None]] = [
        ("reference", "reference", ruler.reference_nats),
        ("bigram", "bigram", ruler.bigram_nats),
        ("unigram", "unigram", ruler.unigram_nats),
        ("chance", "chance", ruler.chance_nats),
        ("claim", "claimed", claim.nats if claim else None),
        ("gate", "gate: below", gate_below),
        ("repaired", "repaired", repaired_nats),
    ]
    marks = [(kind, words, x) for kind, words, x in named if x is not None and math.isfinite(x) and x >= 0]
    right = 1.06 * max(x for _, _, x in marks)
    if loss_nats is not None and math.isfinite(loss_nats):
        right = right * 1.2 if loss_nats > FAR * right else max(right, 1.06 * loss_nats)
        marks.append(("loss", "as loaded", loss_nats))
    for stretch in STRETCHES:
        end = right * stretch
        labels = [Label(min(1.0, x / end), (words, numbers.nats(x)), plot_px) for _, words, x in marks]
        placed = place(labels)
        if placed is not None:
            break
    flags = tuple(
        Flag(kind, words, x, min(x / end, 1.0), where, x > end)
        for (kind, words, x), where in zip(marks, placed or stacked(labels), strict=True)
    )
    bands = tuple((where, max(0.0, a) / end, min(1.0, b / end)) for where, a, b in zone_bounds(ruler, end) if a < end)
    step = next((step for step in STEPS if end / step <= 9), 200.0)
    ticks = tuple(step * i for i in range(int(end / step) + 1))
    return RulerLayout(end, bands, flags, ticks, loss_nats is not None and not math.isfinite(loss_nats))


def ruler_html(of: RulerLayout, wide: RulerLayout | None = None) -> str:
    """The ruler as HTML without any script; its text is text. Colours of text are the page's own. wide: the one that is
    shown in its place where there is room for it."""
    legend = "".join(
        f'<span><i style="background:{ZONE_FILL[where]}"></i>{ZONE_WORDS[where]}</span>' for where, _, _ in of.bands
    )
    boxes = _box(of, "") if wide is None else _box(of, "sr-narrow") + _box(wide, "sr-wide")
    return (
        f'<div class="sr" role="img" aria-label="{html.escape(of.says)}">{boxes}</div>'
        f'<div class="sr-legend">{legend}<span>in nats a token</span></div>'
    )


def _box(of: RulerLayout, classes: str) -> str:
    above = of.lanes * LANE_PX + 6
    parts = [f'<div class="sr-band" style="top:{above}px">{_bands(of.bands)}</div>']
    for flag in of.flags:
        top = above - (flag.placed.lane + 1) * LANE_PX
        side = "" if flag.placed.right else " sr-left"
        words = f"{html.escape(flag.words)}{' →' if flag.beyond else ''}"
        parts.append(
            f'<div class="sr-flag sr-{flag.kind}{side}" style="left:{100 * flag.at:.2f}%;top:{top}px;'
            f'height:{above + BAND_PX - top}px"><span>{words}<br>{flag.number}</span>'
            f'<i style="top:{above - top + BAND_PX / 2:.0f}px"></i></div>'
        )
    axis_top = above + BAND_PX + 2
    parts += [
        f'<span class="sr-tick" style="left:{100 * tick / of.right:.2f}%;top:{axis_top}px">{tick:g}</span>'
        for tick in of.ticks
    ]
    return f'<div class="sr-box {classes}" style="height:{axis_top + 18}px">{"".join(parts)}</div>'


def _bands(bands: Sequence[tuple[Zone, float, float]]) -> str:
    return "".join(
        f'<b style="left:{100 * a:.2f}%;width:{100 * (b - a):.2f}%;background:{ZONE_FILL[where]}"></b>'
        for where, a, b in bands
    )


STYLE = f"""<style>
.sr {{ container-type: inline-size }} .sr-wide {{ display: none }}
@container (min-width: {WIDE_PX + 20}px) {{ .sr-narrow {{ display: none }} .sr-wide {{ display: block }} }}
.sr-box {{ position: relative; margin: 0 .6rem; font-size: 13px; line-height: 1.2 }}
.sr-band {{ position: absolute; left: 0; right: 0; height: {BAND_PX}px; overflow: hidden; border-radius: 3px }}
.sr-band b {{ position: absolute; top: 0; bottom: 0 }}
.sr-flag {{ position: absolute; border-left: 1.5px solid currentColor; white-space: nowrap }}
.sr-flag span {{ position: absolute; left: 5px; top: 0 }}
.sr-left span {{ left: auto; right: 7px; text-align: right }}
.sr-loss span, .sr-repaired span {{ font-weight: 700 }}
.sr-flag i {{ position: absolute; left: -6px; width: 10px; height: 10px; margin-top: -5px; background: #0f172a;
  outline: 1.5px solid #fff; }}
.sr-loss i {{ width: 16px; height: 16px; left: -9px; margin-top: -8px; transform: rotate(45deg) }}
.sr-repaired i {{ width: 14px; height: 14px; left: -8px; margin-top: -7px; border-radius: 50%; background: #fff;
  border: 3px solid #0f172a }}
.sr-reference i {{ border-radius: 50% }}
.sr-claim i {{ background: #fff; border: 3px double #0f172a }}
.sr-tick {{ position: absolute; transform: translateX(-50%); font-size: 12px; opacity: .85 }}
.sr-legend {{ display: flex; flex-wrap: wrap; gap: .1rem .9rem; font-size: 12px; margin: .2rem .6rem .4rem }}
.sr-legend i {{ display: inline-block; width: 10px; height: 10px; margin-right: 5px; border: 1px solid #64748b }}
</style>"""
