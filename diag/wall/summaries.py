"""What a row shows of a record. A record never changes, so each is read once by a server."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diag.case import Case
from diag.errors import InputError
from diag.evidence.record_names import record_ids
from diag.evidence.records import read_record
from diag.hypotheses.registry import ABOUT_CHECKPOINT, DATA
from diag.report.brief import brief, causes, todo
from diag.results.record import Record
from diag.results.ruler import Ruler

EVERY_ID = frozenset(h.id for h in ABOUT_CHECKPOINT)


@dataclass(frozen=True)
class Summary:
    """A record in the words of a row. weight: how much it says of its case: 2 for a test of every hypothesis, 1 for
    another test, 0 for a measurement. fingerprints: of shard, checkpoint and reference. word: the conclusion, or the
    zone of a loss that was only measured."""

    id: str
    case_id: str
    created: str
    weight: int
    case: Case
    fingerprints: Mapping[str, str | None]
    word: str
    verdict: str
    text: str
    cause: str
    hypotheses: tuple[str, ...]
    todo: tuple[str, ...]
    data: str
    loss_nats: float | None
    stderr_nats: float | None
    zone: str | None
    repaired_nats: float | None
    ruler: Ruler = field(repr=False)
    open_ids: tuple[str, ...] = ()


_known: dict[tuple[str, str], Summary | None] = {}
_lock = threading.Lock()


def summaries(evidence_dir: Path) -> list[Summary]:
    """Of all records here, newest first. The first time each is read; then one look at the folder."""
    folder = str(evidence_dir.resolve())
    found = []
    for id in record_ids(evidence_dir):
        with _lock:
            known, kept = (folder, id) in _known, _known.get((folder, id))
        if not known:
            try:
                kept = summary_of(read_record(evidence_dir, id))
            except InputError:  # damaged, or somebody's file; the evidence page says so
                kept = None
            with _lock:
                _known[folder, id] = kept
        if kept:
            found.append(kept)
    return sorted(found, key=lambda summary: (summary.created, summary.id), reverse=True)


def summary_of(record: Record) -> Summary:
    """Reads only the record."""
    diagnosis, loss, said = record.diagnosis, record.loss, brief(record)
    tested = {finding.id for finding in diagnosis.findings} if diagnosis else set()
    ids = diagnosis.conclusion.hypotheses if diagnosis else ()
    joint = diagnosis.joint if diagnosis and diagnosis.joint and diagnosis.joint.repairs else None
    return Summary(
        id=record.id,
        case_id=record.case_id,
        created=record.created,
        weight=0 if diagnosis is None else 2 if tested >= EVERY_ID else 1,
        case=record.to_case(),
        fingerprints={role: _fingerprint(record.inputs.get(role)) for role in ("shard", "checkpoint", "reference")},
        word=said.word,
        verdict=said.verdict,
        text=said.text,
        cause=causes(ids) if ids and ids != (DATA,) else "",
        hypotheses=ids,
        todo=todo(diagnosis),
        data=diagnosis.data.status if diagnosis and diagnosis.data else record.baseline.data.status,
        loss_nats=loss.nats,
        stderr_nats=loss.stderr_nats,
        zone=loss.zone,
        repaired_nats=joint.loss_nats if joint else None,
        ruler=loss.ruler,
        open_ids=tuple(one.id for one in diagnosis.conclusion.not_excluded) if diagnosis else (),
    )


def _fingerprint(part: Any) -> str | None:
    found = part.get("fingerprint") if isinstance(part, Mapping) else None
    return found if isinstance(found, str) and found else None
