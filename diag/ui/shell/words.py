"""Numbers and results in words, as plain text: shared by pages, permanent links and previews. No Streamlit here."""

from __future__ import annotations

import math
import time
from typing import Literal

from diag.case import Case
from diag.evidence.records import Record
from diag.results.baseline import Measurement
from diag.results.finding import Finding
from diag.results.ruler import ZONE_WORDS, Loss, Ruler, Zone
from diag.results.ruler import zone as zone_of
from diag.units import Claim, bits, perplexity

Color = Literal["red", "orange", "yellow", "green", "violet", "gray"]

# Mark and colour of each status word: verdicts, the data, the tie, gates, conclusions, zones.
# The mark and the word stand together, so colour never carries it alone.
MARKS: dict[str, tuple[str, Color]] = {
    "confirmed": ("●", "red"),
    "contributing": ("◐", "orange"),
    "present": ("○", "yellow"),
    "refuted": ("✓", "green"),
    "inconclusive": ("?", "violet"),
    "not_applicable": ("–", "gray"),
    "error": ("!", "red"),
    "ok": ("✓", "green"),
    "suspect": ("!", "orange"),
    "degenerate": ("✕", "red"),
    "invalid": ("✕", "red"),
    "tied_absent": ("✓", "green"),
    "tied_copy": ("✓", "green"),
    "untied": ("✓", "green"),
    "equal": ("✓", "green"),
    "close": ("✓", "green"),
    "different": ("✕", "red"),
    "misshapen": ("✕", "red"),
    "reinterpreted": ("✕", "red"),
    "permuted": ("✕", "red"),
    "tied_diverged": ("✕", "red"),
    "placeholder": ("✕", "red"),
    "reinterpreted_copy": ("✕", "red"),
    "missing": ("✕", "red"),
    "PASS": ("✓", "green"),
    "FAIL": ("✕", "red"),
    "VOID": ("∅", "orange"),
    "UNKNOWN": ("?", "gray"),
    "healthy": ("✓", "green"),
    "explained": ("●", "red"),
    "partly_explained": ("◐", "orange"),
    "unexplained": ("?", "violet"),
    "runtime": ("●", "red"),
    "data": ("✕", "red"),
    "unit": ("✕", "red"),
    "plausible": ("✓", "green"),
    "worse_than_chance": ("✕", "red"),
    "not_finite": ("✕", "red"),
    "about_chance": ("✕", "red"),
}
UNSURE: tuple[str, Color] = ("!", "orange")

ZONE_SENTENCES: dict[Zone, str] = {
    "too_good": "Look at the data, or at what leaks into the window, before trusting it.",
    "plausible": "Better than the unigram, and not too good to be true.",
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


def nats(x: float | None) -> str:
    """A loss in nats, short."""
    return "no loss" if x is None else f"{number(x)} nats"


def nats_in_full(x: float | None) -> str:
    """A loss in nats, bits and perplexity."""
    if x is None:
        return "no loss"
    return f"{number(x)} nats = {number(bits(x))} bits a token, perplexity {short(perplexity(x))}"


def number(x: float | None, signed: bool = False) -> str:
    """A loss-like number: three decimals, more for tiny ones; a dash for none."""
    if x is None:
        return "–"
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else ("∞" if x > 0 else "−∞")
    small = 0 < abs(x) < 0.01
    text = f"{x:{'+' if signed else ''}.{2 if small else 3}{'e' if 0 < abs(x) < 1e-5 else 'g' if small else 'f'}}"
    return text.replace("-", "−") if x < 0 and "e" not in text else text


def short(x: float) -> str:
    """A perplexity or a count: readable from 1 to astronomic."""
    if not math.isfinite(x):
        return number(x)
    return f"{x:,.0f}" if 100 <= x < 1e7 else f"{x:.3g}"


def plus_minus(x: float | None, error: float | None, signed: bool = False) -> str:
    """A number with its standard error."""
    return number(x, signed) if error is None or x is None else f"{number(x, signed)} ± {number(error)}"


def percent(share: float | None) -> str:
    """A share of the excess; a dash where there is none."""
    return "–" if share is None or not math.isfinite(share) else f"{100 * share:.0f} %"


def seconds(x: float) -> str:
    """A duration."""
    return f"{x:.1f} s" if x < 120 else f"{x / 60:.0f} min"


def age(modified: float, now: float | None = None) -> str:
    """How long ago an epoch time was, in one unit."""
    past = max(0.0, (time.time() if now is None else now) - modified)
    for size, unit in ((86400 * 365, "years"), (86400, "days"), (3600, "h"), (60, "min")):
        if past >= size:
            n = int(past // size)
            return f"{n} {unit[:-1] if n == 1 and unit.endswith('s') else unit} ago"
    return "just now"


def headline(loss: Loss) -> str:
    """The verdict on a loss in one sentence."""
    if loss.nats is None or loss.zone is None:
        return "No loss: the window holds ids that this checkpoint has no row for."
    words = ZONE_WORDS[loss.zone]
    return f"{words[0].upper()}{words[1:]}: {nats(loss.nats)} a token, and chance is {number(loss.ruler.chance_nats)}."


def claim_text(claim: Claim, ruler: Ruler) -> str:
    """Where a claimed loss would lie, before anything is measured."""
    return f"The claimed {nats(claim.nats)} would be {ZONE_WORDS[zone_of(claim.nats, ruler)]} on this case."


def skill_text(loss: Loss) -> str:
    """Skill = 1 − loss / unigram, to two decimals."""
    return "–" if loss.skill is None else f"{loss.skill:.2f}".replace("-", "−")


def record_title(record: Record) -> str:
    """The answer of a record in one sentence."""
    if record.diagnosis:
        return record.diagnosis.conclusion.text
    return headline(record.loss)


def record_numbers(record: Record) -> str:
    """The numbers behind the answer, with units and n, and what they are of."""
    case, loss = record.to_case(), record.loss
    parts = [f"Checkpoint {case.checkpoint} on {case.shard}, {case.window}:"]
    if loss.nats is None:
        parts.append("no loss;")
    else:
        parts.append(f"{plus_minus(loss.nats, loss.stderr_nats)} nats a token (n = {loss.tokens:,}),")
    marks = loss.ruler
    bigram = "" if marks.bigram_nats is None else f", bigram {number(marks.bigram_nats)}"
    parts.append(f"chance {number(marks.chance_nats)}, unigram {number(marks.unigram_nats)}{bigram} nats.")
    if record.diagnosis:
        parts.append(" ".join(f"{f.id} {f.status}." for f in record.diagnosis.findings))
    return " ".join(parts)


def provenance(record: Record) -> str:
    """When and on what a record was made."""
    environment = record.environment
    versions = environment.get("versions") or {}
    on = ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else ""
    when = record.created.replace("T", " ").replace("+00:00", " UTC")
    where = f"Made {when} on {environment.get('device')} in {environment.get('dtype')}"
    return f"{where}, with {on}." if on else f"{where}."


def measured_on(measured: Measurement) -> str:
    """Where a number was computed, and how long it took."""
    took = f"loaded in {seconds(measured.load_seconds)}, forward {seconds(measured.forward_seconds)}"
    memory = f", peak memory {measured.peak_memory_bytes / 1e9:.2f} GB" if measured.peak_memory_bytes else ""
    return f"Ran on {measured.device} in {measured.dtype}; {took}{memory}."


def case_line(case: Case) -> str:
    """What is examined, in one line."""
    return (
        f"shard {case.shard} · checkpoint {case.checkpoint} · reference {case.reference or 'none'} · "
        f"window {case.window}"
    )


def cost_of(finding: Finding) -> str:
    """How many repairs a finding rests on, and how long it took."""
    full, screened = len(finding.repairs), len(finding.screened)
    return f"{full} on the whole window, {screened} screened on a part of it, {seconds(finding.seconds)}."
