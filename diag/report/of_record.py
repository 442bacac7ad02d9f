"""The sections of a record: those of its result, then how to reproduce it, what it ran on, and its permanent link."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from typing import Any

from diag.errors import one_line
from diag.hypotheses.registry import ABOUT_CHECKPOINT, DATA
from diag.report import numbers
from diag.report.parts import MAX_ROWS, Code, Section, Table
from diag.report.sections import of_result
from diag.results import codec
from diag.results.record import Record

LINK = "Permanent link"
MAX_THRESHOLDS = 200
LOCAL = (
    "The link /r/{id} works only on the machine that made the record. The record file {id}.json can be opened by any "
    "Subrandom: copy it into evidence/records there."
)


def of_record(record: Record, base_url: str | None = None) -> tuple[Section, ...]:
    """The sections of a report in their order: the conclusion first, the link last. Cheap; reads only the record."""
    thresholds, unknown = record.thresholds, record.unknown
    link = f"{base_url.rstrip('/')}/r/{record.id}" if base_url else LOCAL.format(id=record.id)
    result = of_result(record.result, record.to_case().claim)
    return (
        *(section for section in result if section.title != "Notes"),
        Section("How to reproduce", (Code(command(record)), _inputs(record))),
        Section("Environment and cost", (_environment(record.environment | record.cost),), optional=True),
        *([Section("Thresholds", (_thresholds(thresholds),), optional=True)] if thresholds else []),
        *(
            [Section("Keys that this version does not know", (unknown_keys(unknown),), optional=True)]
            if unknown
            else []
        ),
        *(section for section in result if section.title == "Notes"),
        Section(LINK, (link,)),
    )


def command(record: Record) -> str:
    """The commands that run the case again, quoted for a shell. The names stand first, each with the fingerprint of its
    file: where a name means nothing on the reader's machine, the reader's own path goes there."""
    case = record.to_case()
    window = case.window
    paths = [("CHECKPOINT", case.checkpoint), ("SHARD", case.shard)]
    paths += [("REFERENCE", case.reference)] if case.reference else []
    options: list[tuple[str, object]] = [
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
            ("--expected-loss", case.expected_loss),
        ]
    words = [f'--{name.lower()} "${name}"' for name, _ in paths]
    words += [f"{name} {_quoted(value)}" for name, value in options if value is not None]
    tested = [finding.id for finding in record.diagnosis.findings if finding.id != DATA] if record.diagnosis else []
    ids = tested if tested and len(tested) < len(ABOUT_CHECKPOINT) else []
    ran = " ".join(["python -m diag", "test" if record.kind == "test" else "forward", *map(_quoted, ids), *words])
    return "\n".join(
        ["# Put your own paths here, of files with these fingerprints.", *map(partial(_assigned, record), paths), ran]
    )


def _assigned(record: Record, path: tuple[str, str]) -> str:
    """A variable with its path, and the fingerprint that tells whether the file is the same."""
    found = (record.inputs.get(path[0].lower()) or {}).get("fingerprint")
    return f"{path[0]}={_quoted(path[1])}" + (f"  # {one_line(str(found), 80)}" if found else "")


def _quoted(value: object) -> str:
    return shlex.quote(one_line(str(value), 4000))


def unknown_keys(unknown: Mapping[str, Any]) -> Table:
    """What a later version wrote and this one has no field for, by its place in the record, as JSON."""
    rows = tuple((key, one_line(codec.dumps(value))) for key, value in list(unknown.items())[:MAX_ROWS])
    return Table(("key", "value"), rows)


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


def _environment(values: Mapping[str, Any]) -> Table:
    flat = {**values, **(values["versions"] if isinstance(values.get("versions"), dict) else {})}
    flat.pop("versions", None)
    rows = tuple(
        (str(key).removesuffix("_bytes").replace("_", " "), _text(str(key), value))
        for key, value in list(flat.items())[:MAX_ROWS]
        if value is not None
    )
    return Table(("what", "value"), rows)


def _text(key: str, value: Any) -> str:
    """A figure of the cost in its unit, which the end of its name says; anything else as it stands."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and key.endswith("bytes"):
        return numbers.size(value)
    return numbers.seconds(value) if number and key == "seconds" else numbers.value(value)


def _thresholds(thresholds: Mapping[str, Any]) -> Table:
    rows = []
    for name, entry in list(thresholds.items())[:MAX_THRESHOLDS]:
        known = entry if isinstance(entry, dict) else {"value": entry}
        value = f"{known.get('value', '')} {known.get('unit', '')}".strip()
        rows.append((str(name), value, str(known.get("source", "not stated"))))
    return Table(("threshold", "value", "where it comes from"), tuple(rows))
