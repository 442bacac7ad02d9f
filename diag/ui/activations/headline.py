"""Where the signal breaks, in one headline: from the loss, the divergence, the lens and the norms together. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from diag.report import numbers
from diag.results.baseline import BaselineResult, LayerProbe
from diag.results.ruler import zone_words
from diag.results.thresholds import LENS_RISE, TWIN_NATS
from diag.ui.activations.layers import first_suspect


@dataclass(frozen=True)
class Headline:
    """A status word, the sentence, and what else supports it. layer: where to look; None where that is no layer."""

    word: str
    text: str
    more: tuple[str, ...] = ()
    layer: int | None = None


def headline(found: BaselineResult) -> Headline:
    """The one answer of the page. Never reassuring while the loss is not plausible."""
    own = found.measurement.layers if found.measurement else ()
    theirs = found.reference.layers if found.reference else ()
    loss = f"The loss is {numbers.nats(found.loss.nats)}, {zone_words(found.zone)}"
    loss += f"; the reference has {numbers.number(found.reference.loss_nats)}." if found.reference else "."
    sound = found.zone == "plausible"
    suspect, lens = first_suspect(own, theirs), lens_sentence(own, found.ruler.chance_nats)
    more = tuple(sentence for sentence in (loss, lens) if sentence)
    broken = next((probe.index for probe in own if probe.nonfinite), None)
    divergence = found.divergence
    named = divergence.named if divergence else None
    if divergence and named:
        word = "suspect" if sound else str(found.zone)
        cost = _excess(found)
        if sound and cost is not None and abs(cost) <= TWIN_NATS.value:
            text = f"The signal departs from the reference at {named.where}, and it costs {numbers.nats(cost)}."
        else:
            text = f"The signal breaks at {named.where}."
        return Headline(word, text, (divergence.sentence, *more), named.layer)
    if broken is not None:
        return Headline("not_finite", f"The signal is not finite from layer {broken} on.", more, broken)
    if sound:
        if suspect.layer is not None:
            return Headline("suspect", suspect.sentence, more, suspect.layer)
        if divergence:
            return Headline("plausible", f"The signal breaks nowhere. {divergence.sentence}", more)
        return Headline("plausible", f"Nothing looks broken. {suspect.sentence}", more)
    word = str(found.zone or "UNKNOWN")
    if divergence:
        text = "No component departs from the reference: what is wrong is in both, or in the data."
        return Headline(word, text, (divergence.sentence, *more))
    if suspect.layer is not None:
        return Headline(word, suspect.sentence, more, suspect.layer)
    advice = (
        "A measurement with the reference names the component."
        if theirs
        else "With a reference, the first component that departs from it is named."
    )
    return Headline(word, f"Something breaks, and the norms do not show where. {advice}", more)


def lens_sentence(own: Sequence[LayerProbe], chance_nats: float) -> str:
    """How what the head would say changes with depth; "" where it was not read."""
    read = [(p.index, p.logit_lens_nats) for p in own if p.logit_lens_nats is not None]
    values = [(i, v) for i, v in read if math.isfinite(v)]
    if len(values) < 2:
        return ""
    best, lowest = min(values, key=lambda each: each[1])
    steps = [(after[0], after[1] - before[1]) for before, after in itertools.pairwise(values)]
    where, rise = max(steps, key=lambda each: each[1])
    if rise > LENS_RISE.value:
        low = f"it is lowest after layer {best}, {numbers.nats(lowest)}"
        return f"The lens rises by {numbers.nats(rise)} at layer {where}; {low}."
    if lowest >= chance_nats:
        return "At no depth does the head read anything better than chance."
    return f"The lens goes from {numbers.number(values[0][1])} to {numbers.nats(values[-1][1])} over depth."


def _excess(found: BaselineResult) -> float | None:
    if found.measurement is None or found.reference is None:
        return None
    return found.measurement.loss_nats - found.reference.loss_nats
