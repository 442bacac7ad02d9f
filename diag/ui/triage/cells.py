"""A row of the wall in the words and numbers that the browser draws. Pure, no Streamlit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from diag.evidence.decisions import Decision
from diag.report import numbers
from diag.report.brief import short_name
from diag.report.look import look, said, tie_said
from diag.results.ruler import zone_bounds
from diag.ui.shell.words import on_page
from diag.wall.rows import NOT_RUN, UNUSABLE, Row

MAX_AXIS, LEAST_AXIS = 24.0, 8.0
FITS = 5


def right_end(rows: Sequence[Row]) -> float:
    """The end of the axis that all rows share, in nats: fixed steps, so that it does not move with every run."""
    losses = [row.newest.loss_nats for row in rows if row.newest and row.newest.loss_nats is not None]
    chances = [row.newest.ruler.chance_nats for row in rows if row.newest]
    most = max([LEAST_AXIS, *(nats for nats in (*losses, *chances) if math.isfinite(nats))])
    return min(MAX_AXIS, 4.0 * math.ceil(1.05 * most / 4.0))


def cells(row: Row, right: float, now: float) -> dict[str, Any]:
    """One row; what is empty is left out, and the browser fills it in (EMPTY in wall.js). right: the end of the shared
    axis; now: epoch seconds, for ages."""
    newest, seen = row.newest, row.look
    name, folder = row.name, row.entry.group if row.entry else "not on this machine"
    verdict = _verdict(row)
    reference, reference_text = _reference(row)
    found: dict[str, Any] = {
        "id": row.id,
        "checkpoint": row.checkpoint,
        "name": name,
        "folder": folder,
        "copies": list(row.copies),
        "here": row.entry is not None,
        "query": urlencode(query(row)),
        "family": (seen.family if seen else "") or numbers.NOTHING,
        "shapes": seen.shapes if seen else "",
        "kind": _kind(row),
        "state": row.state,
        "isOpen": row.is_open,
        "order": row.order[0],
        "data": _tone(newest.data) if newest and newest.data != "unknown" else None,
        "shard": short_name(newest.case.shard) if newest else "",
        "loss": numbers.number(newest.loss_nats) if newest and newest.loss_nats is not None else "",
        "lossNats": _finite(newest.loss_nats if newest else None),
        "repaired": numbers.number(newest.repaired_nats) if newest and newest.repaired_nats is not None else "",
        "verdict": verdict,
        "cause": newest.cause if newest else "",
        "reference": reference,
        "referenceText": reference_text,
        "referenceId": (newest.case.reference if newest else None) or "",
        "fits": list(row.fits[:FITS]),
        "decision": decision_words(row.decision),
        "decided": row.decision.what if row.decision and row.decision.what != "note" else "",
        "note": row.decision.note if row.decision else "",
        "owner": row.owner,
        "last": numbers.age(_epoch(newest.created), now) if newest else "",
        "created": _epoch(newest.created) if newest else 0,
        "records": f"{len(row.history)} record{'s' if len(row.history) != 1 else ''}" if row.history else "",
        "history": [_event(summary.created, summary.verdict, summary.id) for summary in row.history[:12]],
        "isNew": row.is_new,
        "tested": row.is_tested,
        "runnable": row.case is not None,
        "next": next_action(row),
        "text": on_page(newest.text) if newest else "",
        "todo": [on_page(line) for line in newest.todo[:6]] if newest else [],
        **_static(row),
        **_ruler(row, right),
    }
    return {key: value for key, value in found.items() if value not in ("", None, [], 0, False)}


def query(row: Row) -> dict[str, str]:
    """The parameters of the case page for this row."""
    if row.case:
        return row.case.to_query()
    return {"record": row.newest.id} if row.newest else {"checkpoint": row.checkpoint}


def next_action(row: Row) -> tuple[str, str]:
    """What to do with this row: what the browser asks for, and the label."""
    if row.word == UNUSABLE:
        return "look", "See why"
    if row.newest is None:
        return ("test", "Test") if row.case else ("open", "Pick a shard")
    if row.decision and row.decision.what in ("accept", "refuted", "duplicate_of"):
        return "open", "Open"
    if row.case is None:
        return "open", "Open"
    if not row.is_tested or (row.decision and row.decision.what == "needs_run"):
        return "test", "Test all"
    if row.word in ("suspect", "unexplained", "partly_explained") and row.fits and not row.case.reference:
        return "refer", "Add reference"
    return "decide", "Decide"


def decision_words(decision: Decision | None) -> str:
    """A decision as a cell shows it: what, and on which day."""
    if decision is None:
        return ""
    return f"{decision.words}, {decision.at[:10]}" + (f", {decision.by}" if decision.by else "")


def summary(rows: Sequence[Row]) -> str:
    """Where things stand, in one sentence."""
    n: Counter[str] = Counter(row.state for row in rows)
    explained = f"{n['explained']:,}" if n["broken"] else "all"
    known = f" ({explained} explained)" if n["explained"] else ""
    broken = f"{n['broken'] + n['explained']:,} broken{known}"
    others = (("suspect", "suspect"), ("data", "on bad data"), ("claim", "with a wrong claim"), ("not_run", "not run"))
    parts = [broken, *(f"{n[state]:,} {words}" for state, words in others if n[state])]
    if undecided := sum(row.is_open for row in rows):
        parts.append(f"{undecided:,} to decide")
    return f"{len(rows):,} case{'s' if len(rows) != 1 else ''}: {', '.join(parts)}."


def _kind(row: Row) -> str:
    """Family, size, and the beginning of the fingerprint, as far as they are known."""
    seen = row.look
    fingerprint = seen.fingerprint if seen else row.newest.fingerprints["checkpoint"] if row.newest else None
    size = numbers.size(row.entry.bytes) if row.entry else ""
    return " · ".join(part for part in (seen.family if seen else "", size, (fingerprint or "")[:8]) if part)


def _verdict(row: Row) -> tuple[str, str, str]:
    if row.newest:
        return _tone(row.newest.word)
    return _tone(UNUSABLE if row.word == UNUSABLE else NOT_RUN)


def _tone(word: str) -> tuple[str, str, str]:
    found = look(word)
    return found.mark, found.tone, said(word)


def _static(row: Row) -> dict[str, Any]:
    """What header and static audit say."""
    seen = row.look
    if row.entry is None:
        return {"look": ("–", "neutral", "not here"), "lookText": ""}
    if seen is None:
        return {"look": ("…", "neutral", "not read yet"), "lookText": ""}
    if seen.problem:
        return {"look": _tone("unusable"), "lookText": seen.problem[:200]}
    if seen.errors or seen.warnings:
        word, n = ("error", seen.errors) if seen.errors else ("warning", seen.warnings)
        mark, tone, label = _tone(word)
        return {"look": (mark, tone, f"{n} {label}{'s' if n > 1 else ''}"), "lookText": seen.says[:160]}
    return {"look": ("✓", "neutral", "nothing found"), "lookText": tie_said(seen.tie)}


def _reference(row: Row) -> tuple[str, str]:
    if row.newest and row.newest.case.reference:
        return short_name(row.newest.case.reference), ""
    if row.fits:
        return short_name(row.fits[0]), "would fit"
    return "", ""


def _ruler(row: Row, right: float) -> dict[str, Any]:
    newest = row.newest
    if newest is None:
        return {}
    ruler = newest.ruler
    zones = [(zone, max(0.0, a), b) for zone, a, b in zone_bounds(ruler, max(right, ruler.chance_nats + 0.1))]
    named = (("reference", ruler.reference_nats), ("repaired", newest.repaired_nats), ("loss", newest.loss_nats))
    marks = [(kind, nats) for kind, nats in named if nats is not None and math.isfinite(nats)]
    says = ", ".join(f"{kind} {numbers.nats(nats)}" for kind, nats in reversed(marks)) or "no finite loss"
    return {"zones": zones, "marks": marks, "says": f"{says}; chance {numbers.nats(ruler.chance_nats)}"}


def _event(created: str, what: str, record: str) -> str:
    return f"{created[:16].replace('T', ' ')} UTC: {what}, record {record[:8]}"


def _epoch(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _finite(nats: float | None) -> float | None:
    return nats if nats is not None and math.isfinite(nats) else None
