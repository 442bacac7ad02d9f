"""Which layer first looks wrong, in one sentence: from the probes of one pass, beside the reference's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diag.hypotheses.h4d_residual import DROWNING, NO_UPDATE
from diag.report import numbers
from diag.results.baseline import LayerProbe

DEPARTS = 3.0  # times the reference's norm, or as many times below it


@dataclass(frozen=True)
class Suspect:
    """The first layer that looks wrong and why; `layer` is None when none does."""

    layer: int | None
    sentence: str


def first_suspect(own: Sequence[LayerProbe], reference: Sequence[LayerProbe] = ()) -> Suspect:
    """The lowest layer with anything of `oddities`; what comes after it may only be its consequence."""
    if not own:
        return Suspect(None, "No layer was measured.")
    for probe, beside in paired(own, reference):
        found = oddities(probe, beside)
        if found:
            return Suspect(probe.index, f"Layer {probe.index} is the first that looks wrong: {'; '.join(found)}.")
    against = f"and none departs from the reference by more than {DEPARTS:g} ×" if reference else "on their own terms"
    advice = "" if reference else " Pick a reference to see departures that have no threshold of their own."
    return Suspect(None, f"No layer looks wrong: all {len(own)} are finite and add to the stream, {against}.{advice}")


def oddities(probe: LayerProbe, reference: LayerProbe | None = None) -> list[str]:
    """What is odd about one layer, worst first, each as a clause with its number and threshold."""
    if probe.nonfinite:
        return [f"{probe.nonfinite:,} values of its stream are NaN or infinite"]
    found = []
    nothing, much = numbers.figure(NO_UPDATE), numbers.figure(DROWNING)
    for part, share in (("attention", probe.attention_share), ("MLP", probe.mlp_share)):
        if share < NO_UPDATE:
            found.append(
                f"its {part} adds nothing to the stream (share {numbers.figure(share, 2)}, threshold {nothing})"
            )
        elif share > DROWNING:
            found.append(f"its {part} drowns the stream (share {numbers.figure(share, 3)}, threshold {much})")
    if reference is None or reference.nonfinite:
        return found
    for part, value, theirs in (
        ("attention update", probe.attention_rms, reference.attention_rms),
        ("MLP update", probe.mlp_rms, reference.mlp_rms),
        ("stream", probe.residual_rms, reference.residual_rms),
    ):
        ratio = value / theirs if theirs > 0 else math.nan
        if ratio > 0 and not 1 / DEPARTS <= ratio <= DEPARTS:
            found.append(f"its {part} is {numbers.figure(ratio, 3)} × the reference's (threshold {DEPARTS:g} ×)")
    return found


def paired(own: Sequence[LayerProbe], reference: Sequence[LayerProbe]) -> list[tuple[LayerProbe, LayerProbe | None]]:
    """Each layer with the reference's layer of the same index."""
    theirs = {probe.index: probe for probe in reference}
    return [(probe, theirs.get(probe.index)) for probe in own]
