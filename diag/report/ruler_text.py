"""The ruler in characters, for a terminal, a pull request and a chat: no picture is needed to see where a loss lies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diag.report import numbers
from diag.results.ruler import Ruler, Zone, zone_bounds

WIDTH = 56  # characters of the band; labels go beyond, to 90 at most
_FAR = 3.0  # a mark beyond this many times every mark of the ruler is drawn at the edge, with an arrow

# From light to dark, so that the zones are told apart without colour.
INK: dict[Zone, str] = {
    "too_good": "·",
    "plausible": "─",
    "no_better_than_bigram": "░",
    "no_better_than_unigram": "▒",
    "about_chance": "▓",
    "worse_than_chance": "█",
}
LEGEND = """\
· too good for this data  ─ plausible  ░ no better than the bigram
▒ no better than the unigram  ▓ about chance  █ worse than chance"""


def ruler_text(ruler: Ruler, losses: Sequence[tuple[str, float | None]]) -> str:
    """The band of zones, a pole for each mark with its number below it, and the legend. losses: what is held against
    the ruler, in nats, such as ("as loaded", 12.599); what is not finite is said and not drawn."""
    own = [(f"◆ {words}", nats) for words, nats in losses if nats is not None and math.isfinite(nats)]
    marks = [
        (f"└ {words}", nats)
        for words, nats in (
            ("reference", ruler.reference_nats),
            ("bigram", ruler.bigram_nats),
            ("unigram", ruler.unigram_nats),
            ("chance", ruler.chance_nats),
        )
        if nats is not None and math.isfinite(nats)
    ]
    right = 1.06 * max(nats for _, nats in marks)
    right = max([right, *(1.06 * nats for _, nats in own if nats <= _FAR * right)])
    step = right / WIDTH
    band = "".join(_ink(ruler, right, column * step, step) for column in range(WIDTH))
    lines = [f"0{f'{right:.1f} nats a token':>{WIDTH - 1}}", band]
    drawn = sorted([*marks, *own], key=lambda mark: -mark[1])
    columns = [min(WIDTH - 1, int(nats / right * WIDTH)) for _, nats in drawn]
    for number, ((label, nats), column) in enumerate(zip(drawn, columns, strict=True)):
        poles = "".join("│" if at in columns[number + 1 :] else " " for at in range(column))
        beyond = " →" if nats > right else ""
        lines.append(f"{poles}{label} {numbers.number(nats)}{beyond}")
    lines += [f"{words}: not finite" for words, nats in losses if nats is not None and not math.isfinite(nats)]
    return "\n".join([*lines, LEGEND])


def _ink(ruler: Ruler, right: float, left: float, step: float) -> str:
    """The zone in the middle of a character; that of chance wherever it is met, since it is narrower than one."""
    if left <= ruler.chance_nats < left + step:
        return INK["about_chance"]
    middle = left + step / 2
    return next((INK[where] for where, a, b in zone_bounds(ruler, right) if a <= middle < b), INK["worse_than_chance"])
