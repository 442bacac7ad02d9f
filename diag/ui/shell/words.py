"""Results in words, as plain text: shared by pages, permanent links and previews. No Streamlit here."""

from __future__ import annotations

import re

from diag.case import Case
from diag.evidence.records import Record
from diag.report import numbers
from diag.report.look import said
from diag.results.baseline import Measurement
from diag.results.ruler import ZONE_WORDS, Loss

_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])")
_ON_PAGES = {
    "reference": "a reference",
    "seq-len": "a sequence length of",
    "claimed-loss": "a claimed loss",
    "vocab-size": "a vocabulary size",
}


def on_page(text: str) -> str:
    """What names an option of the command line names what a page calls it: there is no option to give on a page."""
    return _FLAG.sub(lambda m: _ON_PAGES.get(m[1], m[1].replace("-", " ")), text)


def headline(loss: Loss) -> str:
    """The verdict on a loss in one sentence."""
    if loss.nats is None or loss.zone is None:
        return "No loss: the window holds ids that this checkpoint has no row for."
    words = ZONE_WORDS[loss.zone]
    chance = numbers.number(loss.ruler.chance_nats)
    if loss.zone == "not_finite":
        return f"Not finite: the loss is {numbers.number(loss.nats)}, and chance is {chance} nats a token."
    return f"{words[0].upper()}{words[1:]}: {numbers.nats(loss.nats)} a token, and chance is {chance}."


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
        parts.append(f"{numbers.plus_minus(loss.nats, loss.stderr_nats)} nats a token (n = {loss.tokens:,}),")
    marks = loss.ruler
    bigram = "" if marks.bigram_nats is None else f", bigram {numbers.number(marks.bigram_nats)}"
    chance, unigram = numbers.number(marks.chance_nats), numbers.number(marks.unigram_nats)
    parts.append(f"chance {chance}, unigram {unigram}{bigram} nats.")
    if record.diagnosis:
        parts.append(" ".join(f"{f.id} {said(f.status)}." for f in record.diagnosis.findings))
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
    took = f"loaded in {numbers.seconds(measured.load_seconds)}, forward {numbers.seconds(measured.forward_seconds)}"
    memory = f", peak memory {numbers.size(measured.peak_memory_bytes)}" if measured.peak_memory_bytes else ""
    return f"Ran on {measured.device} in {measured.dtype}; {took}{memory}."


def case_line(case: Case) -> str:
    """What is examined, in one line."""
    return (
        f"shard {case.shard} · checkpoint {case.checkpoint} · reference {case.reference or 'none'} · "
        f"window {case.window}"
    )
