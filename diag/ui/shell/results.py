"""Results that outlive the server: the newest records of a case, found through the index by what the files hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from diag.case import Case
from diag.errors import InputError
from diag.evidence.index import RecordRow
from diag.evidence.records import Record
from diag.hypotheses.registry import REGISTRY
from diag.results.diagnosis import Diagnosis
from diag.results.finding import Finding
from diag.ui.shell import contents, knowledge
from diag.ui.shell.session import Selection

MAX_RECORDS = 20  # of one case: enough to hold a finding of every hypothesis, tested one by one
EVERY_ID = {hypothesis.id for hypothesis in REGISTRY}


@dataclass(frozen=True)
class Result:
    """A finding and the record it comes from."""

    finding: Finding
    diagnosis: Diagnosis
    record: Record


@dataclass(frozen=True)
class Results:
    """What is known about a case. `loaded`: the newest record of it; `full`: the newest test of everything.

    other_content: the sentence about records that used these names for other files; "" if there are none. records: of
    this case, newest first.
    """

    loaded: Record | None = None
    full: Record | None = None
    findings: dict[str, Result] = field(default_factory=dict)
    other_content: str = ""
    records: tuple[Record, ...] = ()


def results(chosen: Selection) -> Results:
    """From the open record alone, or from the records of this case, newest first, whatever they called its files.

    A gate is judged anew from the numbers of a record, so a record made for another gate counts; a claim and an
    expected loss decide the conclusion of a test, so only tests made for the same do.
    """
    if chosen.record:
        return _collect([chosen.record], frozen=True)
    case = chosen.case
    if case is None or not chosen.runnable or not (rows := knowledge.record_rows(chosen.settings)):
        return Results()
    id = contents.case_id_of(case, chosen.catalogue)
    if id is None:  # a file that cannot be read is said where it is read
        return Results()
    mine = [row for row in rows if row.case_id == id and (row.kind == "measure" or _promised_alike(row, case))]
    records = []
    for row in mine[:MAX_RECORDS]:
        with suppress(InputError):  # removed a moment ago
            records.append(knowledge.record(chosen.settings, row.id))
    return _collect(records, other_content=_other_content(rows, case, id))


def _promised_alike(row: RecordRow, case: Case) -> bool:
    theirs = Case.from_query(row.query)
    return (theirs.claim, theirs.expected_loss) == (case.claim, case.expected_loss)


def _other_content(rows: Sequence[RecordRow], case: Case, id: str | None) -> str:
    """A name that means another file than it did in a record is said: whoever remembers that record looks for it."""
    named = (case.shard, case.checkpoint, case.reference)
    others = [
        row
        for row in rows
        if (row.shard, row.checkpoint, row.reference) == named
        and row.query.get("window") == str(case.window)
        and row.case_id != id
    ]
    if not others:
        return ""
    count = f"{len(others)} record{'s' if len(others) > 1 else ''}"
    return (
        f"{count} under these names (the newest is {others[0].id}) measured other content than what is here now: the "
        "files have changed since, or the names mean other files on another machine."
    )


def _collect(records: Sequence[Record], frozen: bool = False, other_content: str = "") -> Results:
    full = None
    findings: dict[str, Result] = {}
    # What a run that was stopped knows counts only where no other says more.
    for record in sorted(records, key=lambda record: bool(record.diagnosis and record.diagnosis.stopped)):
        diagnosis = record.diagnosis
        if diagnosis is None:
            continue
        ids = {finding.id for finding in diagnosis.findings}
        if full is None and (frozen or ids >= EVERY_ID) and (frozen or not diagnosis.stopped):
            full = record
        for finding in diagnosis.findings:
            findings.setdefault(finding.id, Result(finding, diagnosis, record))
    if full is None:
        full = next((r for r in records if r.diagnosis and r.diagnosis.stopped), None)
    return Results(records[0] if records else None, full, findings, other_content, tuple(records))
