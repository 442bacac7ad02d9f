"""What the case page says, in sentences, and its ruler. Pure, no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence

from diag.case import Case
from diag.charts.flags import PHONE_PX
from diag.report import numbers
from diag.report.brief import Brief, brief, causes, todo
from diag.results.diagnosis import NotExcluded
from diag.results.record import Record
from diag.results.ruler import ZONE_WORDS, Ruler, Zone
from diag.results.ruler import zone as zone_of
from diag.share.ruler import STYLE, WIDE_PX, layout, ruler_html
from diag.ui.shell.words import headline
from diag.units import Claim

MAX_TODO = 4
NOTHING_OPEN = "Nothing that was tested is left open."

ZONE_SENTENCES: dict[Zone, str] = {
    "too_good": "Look at the data, or at what leaks into the window, before trusting it.",
    "plausible": "Better than what predicts without a model, and not too good to be true.",
    "no_better_than_bigram": "One id of context predicts as much. A trained model knows more, unless the text is "
    "new to it.",
    "no_better_than_unigram": "The model makes no use of the context.",
    "about_chance": "A model that knows nothing scores the same.",
    "worse_than_chance": "The model is confident, and wrong. Something is broken, not untrained.",
    "not_finite": "The forward pass overflowed or met NaN.",
}
GATE_REASONS = {
    "PASS": "The loss is below the gate, and a predictor without context does not pass it.",
    "FAIL": "The loss is not below the gate.",
    "VOID": "A predictor that knows only the unigram, or only the most frequent id, passes this gate on the same "
    "tokens: it measures the data, not the model.",
    "UNKNOWN": "There is no loss to judge.",
}


def claim_text(claim: Claim, ruler: Ruler) -> str:
    """Where a claimed loss would lie, before anything is measured."""
    return f"The claimed {numbers.nats(claim.nats)} would be {ZONE_WORDS[zone_of(claim.nats, ruler)]} on this case."


def boxes(marks: Ruler, loss: float | None, repaired: float | None, case: Case) -> str:
    """The ruler as HTML, for a phone and for a desk."""
    narrow, wide = (
        layout(marks, loss, repaired, claim=case.claim, gate_below=case.gate_below, plot_px=width)
        for width in (PHONE_PX, WIDE_PX)
    )
    return STYLE + ruler_html(narrow, wide)


def repaired(found: Brief) -> float | None:
    """The loss with all accepted repairs, in nats."""
    return next((mark.nats for mark in found.losses if mark.what == "repaired"), None)


def sentences(record: Record) -> tuple[str, str]:
    """What the answer says below its title: the conclusion, and where the loss lies."""
    zone = ZONE_SENTENCES[record.loss.zone] if record.loss.zone else ""
    where = f"{headline(record.loss)} {zone}" if record.diagnosis else zone or record.baseline.data.text
    return brief(record).text, where


def steps(record: Record) -> list[str]:
    """What to do, at most MAX_TODO lines and how many more; without the command of a terminal, for a button is near."""
    told = todo(record.diagnosis)
    more = len(told) - MAX_TODO
    return [*told[:MAX_TODO], *([f"and {more} more"] if more > 0 else [])]


def proof(record: Record) -> str:
    """From loaded to repaired, in Markdown; "" without a loss."""
    found = brief(record)
    marks = " → ".join(f"{mark.what} **{numbers.plus_minus(mark.nats, mark.stderr_nats)}**" for mark in found.losses)
    reference = record.loss.ruler.reference_nats
    beside = f", the reference {numbers.number(reference)}" if reference is not None else ""
    return f"{marks}{beside} nats a token (n = {record.loss.tokens:,})." if marks else ""


def open_lines(left: Sequence[NotExcluded]) -> list[str]:
    """What is not excluded, a line for all that could hide as much: that is a bound on each, and no finding."""
    by_bound: dict[float | None, list[str]] = {}
    for one in left:
        by_bound.setdefault(one.could_hide_nats, []).append(causes((one.id,)))
    return [
        ", ".join(ids)
        + (f": {'each ' if len(ids) > 1 else ''}could hide up to {numbers.nats(most)}" if most is not None else "")
        for most, ids in by_bound.items()
    ]
