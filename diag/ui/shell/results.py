"""Results that outlive the server: the newest records of a case, found among the record files."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from diag.catalogue import Entry
from diag.errors import InputError
from diag.evidence.records import Record, read_record, records_dir
from diag.hypotheses.registry import DATA, REGISTRY
from diag.results.findings import Diagnosis, Finding
from diag.ui.case import preview
from diag.ui.shell.session import ENTRY_KEYS, Selection
from diag.units import Claim

MAX_RECORDS = 20  # of one case: enough to hold a finding of every hypothesis, tested one by one
# Parts of a case that say how its losses are judged, and change none of them.
JUDGED_LATER = ("gate_below", "claimed_loss", "claimed_unit")
EVERY_ID = {DATA, *(hypothesis.id for hypothesis in REGISTRY)}


@dataclass(frozen=True)
class _Known:
    """What the lookup needs of a record, so that most files are read once."""

    created: str
    kind: str
    case: dict[str, str]
    claim: Claim | None


# By file. A record never changes, so what was read once holds; a file that is damaged or half copied is read again.
_seen: dict[Path, _Known] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Result:
    """A finding and the record it comes from."""

    finding: Finding
    diagnosis: Diagnosis
    record: Record


@dataclass(frozen=True)
class Results:
    """What is known about a case. `loaded`: the newest record with a reading; `full`: the newest test of everything."""

    loaded: Record | None = None
    full: Record | None = None
    findings: dict[str, Result] = field(default_factory=dict)


def results(chosen: Selection) -> Results:
    """From the open record alone, or from every record of this case, newest first.

    A gate is judged anew from the numbers of a record, so a record made for another gate counts; a claim decides the
    conclusion of a test, so only tests made for the same claim do.
    """
    if chosen.record:
        return _collect([chosen.record], frozen=True)
    return _collect(_of_case(chosen)) if chosen.case else Results()


def newer_files(chosen: Selection, record: Record) -> str:
    """The sentence for files whose content is not the record's; "" when all are, or for a frozen record.

    A record may come from another machine where the same name is another file, so content is compared, not times.
    """
    if chosen.record:
        return ""
    changed = []
    for key, kind in ENTRY_KEYS.items():
        entry: Entry | None = getattr(chosen, key)
        with suppress(InputError):  # a file that cannot be read is said where it is read
            recorded = (record.inputs.get(key) or {}).get("fingerprint")
            if entry and preview.fingerprint(kind, entry, chosen) != recorded:
                changed.append(entry.id)
    names = ", ".join(changed)
    return f"Measured on other content than what is here now: {names}. Run it again." if changed else ""


def _of_case(chosen: Selection) -> list[Record]:
    assert chosen.case
    wanted, claim = _measured(chosen.case.to_query()), chosen.case.claim
    folder = records_dir(chosen.settings.evidence_dir)
    found = []
    for path in folder.glob("*.json"):
        with _lock:
            known = _seen.get(path)
        if known is None and (known := _look(chosen.settings.evidence_dir, path.stem)):
            with _lock:
                _seen[path] = known
        if known and _measured(known.case) == wanted and (known.kind == "measure" or known.claim == claim):
            found.append((known.created, path.stem))
    records = []
    for _, id in sorted(found, reverse=True)[:MAX_RECORDS]:
        with suppress(InputError):  # removed a moment ago
            records.append(read_record(chosen.settings.evidence_dir, id))
    return records


def _measured(query: dict[str, str]) -> dict[str, str]:
    """The part of a case that its losses depend on."""
    return {key: value for key, value in query.items() if key not in JUDGED_LATER}


def _look(evidence_dir: Path, id: str) -> _Known | None:
    try:
        record = read_record(evidence_dir, id)
    except InputError:
        return None
    return _Known(record.created, record.kind, record.case, record.to_case().claim)


def _collect(records: list[Record], frozen: bool = False) -> Results:
    loaded = full = None
    findings: dict[str, Result] = {}
    for record in records:
        if loaded is None and record.reading():
            loaded = record
        diagnosis = record.diagnosis()
        if diagnosis is None:
            continue
        ids = {finding.id for finding in diagnosis.findings}
        if full is None and (frozen or ids >= EVERY_ID):
            full = record
        for finding in diagnosis.findings:
            findings.setdefault(finding.id, Result(finding, diagnosis, record))
    return Results(loaded, full, findings)
