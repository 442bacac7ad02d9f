"""A record as the index keeps it: one row, and the few spans of its text that people search."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from diag.results.record import Record

# Where a span of interest begins in a record's text, one entry a line, and how many lines it has.
_SPANS = (
    (re.compile(r'\s*"id": "H'), 7),  # a finding: its status and what was seen
    (re.compile(r'\s*"(?:ruler|conclusion)": \{'), 10),
    (re.compile(r'\s*"(?:data|tie|gate)": \{'), 4),
    (re.compile(r'\s*"(?:loss_nats|zone)": '), 1),
)
HEAD = 34  # id, case, names of the inputs


def spans(lines: Sequence[str]) -> list[tuple[int, int]]:
    """The spans of a record's lines that are searched and read for facts: (first, past the last), without overlaps."""
    found = [(0, min(HEAD, len(lines)))]
    begun = next((i for i, line in enumerate(lines) if line.startswith(' "result":')), len(lines))
    for i in range(begun, len(lines)):
        length = next((length for begins, length in _SPANS if begins.match(lines[i])), 0)
        if length and i >= found[-1][1]:
            found.append((i, min(i + length, len(lines))))
    return found


def row_of(path: str, record: Record) -> tuple[Any, ...]:
    """The row of a record, in the order of the table's columns."""
    diagnosis, loss = record.diagnosis, record.loss
    reference = record.inputs.get("reference") or {}
    return (
        path,
        record.id,
        record.created,
        record.kind,
        record.case_id,
        json.dumps(record.case),
        record.inputs["shard"]["name"],
        record.inputs["checkpoint"]["name"],
        reference.get("name"),
        loss.nats,
        loss.zone,
        diagnosis.conclusion.kind if diagnosis else None,
        diagnosis.conclusion.text if diagnosis else None,
        json.dumps({f.id: f.status for f in diagnosis.findings} if diagnosis else {}),
        loss.gate.word if loss.gate else None,
        str(record.environment.get("device", "")),
        str(record.environment.get("dtype", "")),
    )
