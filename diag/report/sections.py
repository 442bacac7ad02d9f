"""What a report says, as data: sections of paragraphs, tables and code, before any format is chosen.

Everything here is plain, unescaped text; the writer of a format escapes it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diag.errors import one_line
from diag.results.diagnosis import Diagnosis
from diag.results.finding import Finding, RepairResult
from diag.results.record import Record
from diag.results.ruler import ZONE_WORDS, GateResult, Loss
from diag.units import Claim, bits, perplexity

MAX_ROWS = 40
LOCAL = (
    "The link /r/{id} works only on the machine that made the record. The record file {id}.json can be opened by any "
    "Subrandom: copy it into evidence/records there."
)


@dataclass(frozen=True)
class Table:
    """Rows under a head; every cell is text. `numeric` columns are aligned to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()


@dataclass(frozen=True)
class Code:
    """Text to copy as it stands."""

    text: str


@dataclass(frozen=True)
class Section:
    """A title and what stands under it. `optional` sections go first when a report becomes too long."""

    title: str
    items: tuple[str | Table | Code, ...]
    optional: bool = False


def collect(record: Record, base_url: str | None = None) -> tuple[Section, ...]:
    """The sections of a report in their order: the conclusion first, the link last. Cheap; reads only the record."""
    diagnosis, loss, baseline = record.diagnosis, record.loss, record.baseline
    checks = (("data", baseline.data), ("tied weights", baseline.tie))
    made = [
        Section("Conclusion", _conclusion(loss, diagnosis)),
        Section("Ruler", (_ruler(loss, record.to_case().claim),)),
    ]
    if diagnosis:
        made += _diagnosis_sections(diagnosis)
    made += [
        Section("Gate", (_gate(loss.gate),)),
        Section(
            "Checks",
            tuple(f"{what}: {c.status.replace('_', ' ')}. {c.text}" for what, c in checks if c.status != "unknown"),
        ),
        Section("How to reproduce", (Code(command(record)), _inputs(record))),
        Section("Environment and cost", (_pairs(record.environment | record.cost),), optional=True),
        Section("Thresholds", (_thresholds(record.thresholds),) if record.thresholds else (), optional=True),
        Section(
            "Keys that this version does not know", (_pairs(record.unknown),) if record.unknown else (), optional=True
        ),
        Section("Notes", record.notes[:MAX_ROWS], optional=True),
    ]
    link = f"{base_url.rstrip('/')}/r/{record.id}" if base_url else LOCAL.format(id=record.id)
    made.append(Section("Permanent link", (link,)))
    return tuple(section for section in made if section.items)


def command(record: Record) -> str:
    """The command line that runs the case again, quoted for a shell. Needs the files with the fingerprints given."""
    case = record.to_case()
    window = case.window
    options: list[tuple[str, object]] = [
        ("--checkpoint", case.checkpoint),
        ("--shard", case.shard),
        ("--reference", case.reference),
        ("--batches", window.batches),
        ("--batch-size", window.batch_size),
        ("--seq-len", window.seq_len),
        ("--device", case.device),
        ("--dtype", case.dtype),
    ]
    if record.kind == "test":
        options += [
            ("--claimed-loss", case.claim.loss if case.claim else None),
            ("--claimed-unit", case.claim.unit if case.claim else None),
            ("--gate-below", case.gate_below),
        ]
    words = [f"{name} {shlex.quote(one_line(str(value), 4000))}" for name, value in options if value is not None]
    return " ".join(["python -m diag", "test" if record.kind == "test" else "forward", *words])


def _conclusion(found: Loss, diagnosis: Diagnosis | None) -> tuple[str, ...]:
    loss = f"Loss {_plus_minus(found.nats, found.stderr_nats)}"
    loss += " nats" if found.nats is not None else ""
    loss += f", {ZONE_WORDS[found.zone]}" if found.zone else ""
    measured = f"{loss} (n = {found.tokens:,} tokens in {found.sequences:,} sequences)."
    if diagnosis is None:
        return (f"Measured as loaded, nothing changed. {measured}",)
    kind = diagnosis.conclusion.kind.replace("_", " ").capitalize()
    named = ", ".join(diagnosis.conclusion.hypotheses)
    head = f"{kind}: {named}." if named else f"{kind}."
    return (f"{head} {diagnosis.conclusion.text}", measured)


def _diagnosis_sections(diagnosis: Diagnosis) -> list[Section]:
    found = diagnosis.findings
    head = ("id", "status", "signature", "best repair", "loss (nats)", "Δ ± SE (nats)", "share of excess")
    rows = tuple(_finding_row(finding) for finding in found[:MAX_ROWS])
    items: list[str | Table | Code] = [Table(head, rows, numeric=(4, 5, 6))] if rows else ["Nothing was tested."]
    if len(found) > MAX_ROWS:
        items.append(f"And {len(found) - MAX_ROWS} more in the record.")
    sections = [Section("Findings", tuple(items))]
    joint = diagnosis.joint
    if joint:
        worth = {repair.id: joint.attribution.get(repair.id) for repair in joint.repairs}
        table = Table(
            ("hypothesis", "repair", "worth (nats)"),
            tuple((repair.id, repair.name, _nats(worth[repair.id])) for repair in joint.repairs[:MAX_ROWS]),
            numeric=(2,),
        )
        text = f"Together they reach {_plus_minus(joint.loss_nats, joint.stderr_nats)} nats"
        text += f", {joint.share:.1%} of the excess." if joint.share is not None else "."
        sections.append(Section("Joint set", (text, table) if joint.repairs else (text,)))
    decide = [f"{f.id}: {f.would_decide}" for f in found[:MAX_ROWS] if f.would_decide]
    if decide:
        sections.append(Section("What would decide the open ones", tuple(decide), optional=True))
    return sections


def _finding_row(finding: Finding) -> tuple[str, ...]:
    best = next((repair for repair in finding.repairs if repair.name == finding.best_repair), None)
    signature = finding.signature
    seen = f"{'present' if signature.present else 'absent'}: {signature.detail}"
    return (finding.id, finding.status.replace("_", " "), seen, *_repair_cells(best))


def _repair_cells(repair: RepairResult | None) -> tuple[str, str, str, str]:
    if repair is None:
        return ("–", "–", "–", "–")
    share = "–" if repair.share is None else f"{repair.share:.1%}"
    name = f"{repair.name} (localiser)" if repair.localiser else repair.name
    return (name, _nats(repair.loss_nats), _plus_minus(repair.delta_nats, repair.stderr_nats), share)


def _ruler(found: Loss, claim: Claim | None) -> Table:
    """Every mark of the ruler that the record knows, lowest first. A claim is shown in nats, whatever its unit was."""
    named = [
        ("reference checkpoint", found.ruler.reference_nats),
        ("held-out bigram", found.ruler.bigram_nats),
        ("unigram", found.ruler.unigram_nats),
        ("chance, ln of the embedding rows", found.ruler.chance_nats),
        ("this checkpoint", found.nats),
        (f"claimed, given as {claim.loss:g} {claim.unit}" if claim else "", claim.nats if claim else None),
    ]
    known = sorted(((label, value) for label, value in named if value is not None), key=lambda mark: mark[1])
    rows = tuple((label, _nats(v), _nats(bits(v)), f"{perplexity(v):,.5g}") for label, v in known)
    return Table(("mark", "nats", "bits", "perplexity"), rows, numeric=(1, 2, 3))


def _gate(gate: GateResult | None) -> str:
    if gate is None:
        return "No gate was given."
    void = " A predictor without context passes it too: it measures the data, not the model."
    return f"{gate.word}: loss < {_nats(gate.below)} nats.{void if gate.word == 'VOID' else ''}"


def _inputs(record: Record) -> Table:
    rows = []
    for role in ("checkpoint", "shard", "reference"):
        part = record.inputs.get(role)
        if part:
            digest = part.get("window_digest")
            more = [f"{part['tokens']:,} tokens"] if isinstance(part.get("tokens"), int) else []
            more += [f"window {digest}"] if digest else []
            rows.append((role, part["name"], str(part.get("fingerprint", "not taken")), ", ".join(more)))
    return Table(("input", "name", "fingerprint", "more"), tuple(rows))


def _pairs(values: Mapping[str, Any]) -> Table:
    flat = {**values, **(values["versions"] if isinstance(values.get("versions"), dict) else {})}
    flat.pop("versions", None)
    rows = tuple((str(key), str(value)) for key, value in list(flat.items())[:MAX_ROWS] if value is not None)
    return Table(("what", "value"), rows)


def _thresholds(thresholds: Mapping[str, Any]) -> Table:
    rows = []
    for name, entry in list(thresholds.items())[:MAX_ROWS]:
        known = entry if isinstance(entry, dict) else {"value": entry}
        value = f"{known.get('value', '')} {known.get('unit', '')}".strip()
        rows.append((str(name), value, str(known.get("source", "not stated"))))
    return Table(("threshold", "value", "where it comes from"), tuple(rows))


def _nats(value: float | None) -> str:
    """Four places; small losses keep four significant digits, because 0.000758 and 0.000652 differ."""
    if value is None:
        return "–"
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.01 else f"{value:.4g}"


def _plus_minus(value: float | None, error: float | None) -> str:
    if value is None:
        return "not computed"
    return _nats(value) if error is None else f"{_nats(value)} ± {_nats(error)}"
