"""What the index answers as tables for people. Pure, no Streamlit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlencode

import pandas as pd

from diag.evidence.conflicts.conflict import Conflict
from diag.evidence.files import LeftOut
from diag.evidence.index import Hit, RecordRow, has_changed
from diag.evidence.known_facts import FactRow, unit_words
from diag.evidence.ledger import Entry
from diag.results.ruler import zone_words


def hits(found: Sequence[Hit]) -> pd.DataFrame:
    """Places that answer a query: the file below its evidence folder, the line, the text. Reads each file again."""
    return pd.DataFrame(
        [
            {
                "file": hit.name,
                "line": hit.line,
                "section": hit.section,
                "text": hit.text,
                "score": hit.score,
                "changed since": "yes" if has_changed(hit) else "no",
                "digest": hit.digest,
            }
            for hit in found
        ]
    )


def records(rows: Sequence[RecordRow]) -> pd.DataFrame:
    """One row a record, newest first, with its link. Statuses read "H4A confirmed, H4B refuted"."""
    return pd.DataFrame(
        [
            {
                "open": f"/r/{row.id}",
                "created": row.created.replace("T", " ").replace("+00:00", ""),
                "kind": row.kind,
                "checkpoint": row.checkpoint,
                "loss_nats": row.loss_nats,
                "zone": zone_words(row.zone),
                "conclusion": row.conclusion,
                "hypotheses": ", ".join(f"{id} {status}" for id, status in row.statuses.items()),
                "gate": row.gate,
                "text": row.text,
                "shard": row.shard,
                "reference": row.reference,
                "id": row.id,
            }
            for row in rows
        ]
    )


def facts(found: Sequence[FactRow], link: Callable[..., dict[str, str]]) -> pd.DataFrame:
    """Facts with their citations; `open` leads to the document with the line marked."""
    return pd.DataFrame(
        [
            {
                "open": f"/evidence?{urlencode(link(doc=fact.file, line=str(fact.line), digest=fact.digest[:16]))}",
                "key": fact.key,
                "value": fact.raw,
                "number": fact.number,
                "unit": unit_words(fact.unit, fact.unit_source) if fact.number is not None else None,
                "status": fact.status,
                "file": fact.file,
                "line": fact.line,
                "section": fact.section,
                "run": fact.run,
                "date": fact.date or None,
                "identifiers": ", ".join(fact.identifiers),
                "digest": fact.digest,
            }
            for fact in found
        ]
    )


def conflicts(found: Sequence[Conflict]) -> pd.DataFrame:
    """One row a contradiction, with both citations."""
    return pd.DataFrame(
        [
            {
                "kind": one.kind,
                "key": one.key,
                "text": one.text,
                "first": f"{one.a.file}:{one.a.line}  {one.a.raw}",
                "second": f"{one.b.file}:{one.b.line}  {one.b.raw}" if one.b else None,
            }
            for one in found
        ]
    )


def ledger(entries: Sequence[Entry]) -> pd.DataFrame:
    """Identifier by day; the last status of a day in its cell."""
    rows = [
        {"identifier": entry.identifier, **{stated.date or "no date": stated.status for stated in entry.history}}
        for entry in entries
    ]
    frame = pd.DataFrame(rows)
    return frame[["identifier", *sorted(column for column in frame.columns if column != "identifier")]]


def ledger_rows(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row a statement."""
    return pd.DataFrame(
        [
            {"identifier": entry.identifier, "date": s.date, "status": s.status, "file": s.file, "line": s.line}
            for entry in entries
            for s in entry.history
        ]
    )


def left_out(found: Sequence[LeftOut]) -> pd.DataFrame:
    """What was not read, and why."""
    return pd.DataFrame([{"path": item.path, "reason": item.reason} for item in found])
