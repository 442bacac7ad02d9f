"""What a reader must know first: the verdict and the case's name, one small table, the change to make, what is open.

Pages, reports, pictures and links take it from here, so that all say the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from diag.case import Case
from diag.checkpoints.fold import fold, split_layer
from diag.hypotheses.registry import REGISTRY
from diag.report import numbers
from diag.report.look import said
from diag.results.diagnosis import ConclusionKind, Diagnosis, Fix
from diag.results.record import Record
from diag.results.ruler import ZONE_WORDS
from diag.units import bits

# What to do where no change is named: one sentence for each word.
NEXT: dict[ConclusionKind, str] = {
    "data": "Repair the shard, or name another one. Everything else waits for it.",
    "explained": "Make the change, or write the repaired checkpoint and test it again.",
    "partly_explained": "Make the change, then test what remains beside a sound copy of the model.",
    "unexplained": "Test it beside a sound copy of the same model: every difference is then listed.",
    "suspect": "Test it beside a sound copy of the same model, which decides it.",
    "runtime": "Look at the program that reported the claim: nothing is wrong with this checkpoint here.",
    "unit": "Write the unit beside the claim.",
    "healthy": "Nothing.",
    "no_defect_found": "Give a reference or an expected loss, if it must be called healthy.",
}
_MEASURED = "Test every hypothesis: a loss alone names no cause."
_NOISY = "Measure a larger window or give a twin or an expected loss, if it must be called healthy."
_DIFFERS = "Look at what differs from the reference, and at the component from which the two part."
_GENERIC = re.compile(r"(model|pytorch_model|consolidated|weights)\b.*|.*\.index\.json")
_TITLES = {h.id: h.title for h in REGISTRY}
MAX_CAUSES = 3
MAX_NAMES = 4


@dataclass(frozen=True)
class Mark:
    """A row of the small table: what, its loss in nats with the standard error where it has one."""

    what: str
    nats: float
    stderr_nats: float | None = None


@dataclass(frozen=True)
class Brief:
    """word: the conclusion, or the zone of a loss that was only measured. verdict: the word with the causes.
    losses: as loaded, repaired. marks: what they are held against, lowest first. todo: what to do, a sentence each."""

    word: str
    verdict: str
    name: str
    text: str
    losses: tuple[Mark, ...]
    marks: tuple[Mark, ...]
    todo: tuple[str, ...]

    @property
    def title(self) -> str:
        """The verdict and the case's name in one line."""
        return f"{self.verdict}: {self.name}"


def brief(record: Record) -> Brief:
    """The brief of a record. Cheap; reads only the record."""
    diagnosis, loss, case = record.diagnosis, record.loss, record.to_case()
    losses = [] if loss.nats is None else [Mark("as loaded", loss.nats, loss.stderr_nats)]
    if diagnosis and diagnosis.joint and diagnosis.joint.repairs:
        losses.append(Mark("repaired", diagnosis.joint.loss_nats))
    ruler = loss.ruler
    claim = f"claimed ({case.claim.loss:g} {case.claim.unit})" if case.claim else ""
    named = (
        ("reference", ruler.reference_nats),
        ("bigram, held out", ruler.bigram_nats),
        ("unigram", ruler.unigram_nats),
        ("chance, ln V", ruler.chance_nats),
        (claim, case.claim.nats if case.claim else None),
    )
    marks = sorted((Mark(what, nats) for what, nats in named if nats is not None), key=lambda mark: mark.nats)
    word = diagnosis.conclusion.kind if diagnosis else loss.zone or "invalid"
    return Brief(
        word=word,
        verdict=_verdict(diagnosis) if diagnosis else _capital(ZONE_WORDS[loss.zone] if loss.zone else "no loss"),
        name=case_name(case),
        text=diagnosis.conclusion.text if diagnosis else f"Measured as loaded: {numbers.in_all_units(loss.nats)}.",
        losses=tuple(losses),
        marks=tuple(marks),
        todo=(*todo(diagnosis), *_written(record)),
    )


def _written(record: Record) -> tuple[str, ...]:
    """How to have the repaired checkpoint, where the record holds its edits."""
    joint = record.diagnosis.joint if record.diagnosis else None
    command = f"subrandom repair {record.id} --out DIR"
    return (f"Or write the repaired checkpoint: {command}",) if joint and joint.edits else ()


def case_name(case: Case) -> str:
    """A case as people call it: the last part of the checkpoint's name that tells it apart, and of the shard's."""
    return f"{short_name(case.checkpoint)} on {short_name(case.shard)}"


def short_name(id: str) -> str:
    """The last part of an id; with its folder where that part is a name that every checkpoint has."""
    parts = [part for part in id.split("/") if part]
    if not parts:
        return id
    return "/".join(parts[-2:]) if len(parts) > 1 and _GENERIC.fullmatch(parts[-1]) else parts[-1]


def causes(ids: tuple[str, ...]) -> str:
    """Hypotheses by id and title: "H4A tied weights"."""
    named = [f"{id} {_TITLES[id].lower()}" if id in _TITLES else id for id in ids[:MAX_CAUSES]]
    more = len(ids) - MAX_CAUSES
    return " + ".join(named) + (f" and {more} more" if more > 0 else "")


def todo(diagnosis: Diagnosis | None) -> tuple[str, ...]:
    """The exact changes, or else what would decide, in sentences; at least one."""
    if diagnosis is None:
        return (_MEASURED,)
    fixes = [fix for fix in diagnosis.conclusion.fix if fix.what in ("config", "tensor")]
    if fixes:
        return tuple(change(fix) for fix in fixes)
    kind = diagnosis.conclusion.kind
    first = [f for f in diagnosis.findings if f.id in diagnosis.conclusion.hypotheses and f.would_decide]
    told = tuple(f"{f.id}: {f.would_decide}" for f in first[:MAX_CAUSES])
    if kind == "unexplained" and diagnosis.baseline.loss.ruler.reference_nats is not None:
        return (*told, _DIFFERS)
    if kind == "no_defect_found" and diagnosis.baseline.loss.ruler.reference_nats is not None:
        return (*told, _NOISY)
    return told if told and kind == "data" else (NEXT[kind], *told)


def change(fix: Fix) -> str:
    """A change in one line: where, with the layers folded, and what becomes of it."""
    where = folded(fix.where)
    if fix.what == "config" and "\n" in fix.change:
        return f"{where}: {_edited(fix.change)}"
    return fix.change if where in fix.change else f"{where}: {fix.change}"


def _edited(diff: str) -> str:
    """A diff of a few keys in a line."""
    gone, come = ("; ".join(line[1:].strip(" ,") for line in diff.splitlines() if line[:1] == sign) for sign in "-+")
    return f"{gone} becomes {come}." if gone and come else f"add {come}." if come else f"remove {gone}."


def folded(names: str) -> str:
    """A list of tensor names with equal names of many layers as one, and the first of them."""
    layers: dict[str, list[int]] = {}
    for name in names.split(", "):
        template, layer = split_layer(name)
        layers.setdefault(template, []).extend([] if layer is None else [layer])
    told = [fold(template, found) for template, found in layers.items()]
    more = len(told) - MAX_NAMES
    return ", ".join(told) if more <= 1 else f"{', '.join(told[:MAX_NAMES])} and {more} more"


def cells(mark: Mark) -> tuple[str, str, str, str]:
    """What, nats, bits, perplexity: a row of the small table."""
    error = numbers.plus_minus(mark.nats, mark.stderr_nats)
    return mark.what, error, numbers.number(bits(mark.nats)), numbers.perplexity(mark.nats)


def _verdict(diagnosis: Diagnosis) -> str:
    word, ids = _capital(said(diagnosis.conclusion.kind)), diagnosis.conclusion.hypotheses
    return f"{word} ({causes(ids)})" if ids else word


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
