"""What a person asks for on the wall: open, test, decide. Every word that comes from the browser is checked here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from diag.errors import InputError
from diag.evidence import decisions
from diag.evidence.decisions import Decision
from diag.jobs.protocol import JobRequest
from diag.settings import Settings
from diag.ui.shell import person, server, who
from diag.ui.shell.session import Selection
from diag.ui.triage import cells
from diag.wall.rows import Row

MAX_AT_ONCE = 100
DECIDE = ("accept", "needs_run", "refuted", "duplicate_of", "note")


def act(asked: Mapping[str, Any], rows: Sequence[Row], chosen: Selection) -> None:
    """Do what was asked, and say what came of it. InputError for what cannot be done."""
    by_id = {row.id: row for row in rows}
    given = asked.get("ids")
    ids = [id for id in given if isinstance(id, str) and id in by_id] if isinstance(given, list) else []
    mine = [by_id[id] for id in ids[:MAX_AT_ONCE]]
    kind = asked.get("kind")
    if kind == "open" and mine:
        st.switch_page(st.session_state["pages"]["case"], query_params=cells.query(mine[0]))
    elif kind == "look" and mine:
        st.switch_page(st.session_state["pages"]["weights"], query_params=cells.query(mine[0]))
    elif kind in ("test", "decide"):
        if not person.may_run(chosen.settings):
            raise InputError(person.NOT_ALLOWED)
        (_test if kind == "test" else _decide)(asked, mine, chosen.settings)


def end_meeting(settings: Settings) -> None:
    """From now on what comes is new."""
    if not person.may_run(settings):
        raise InputError(person.NOT_ALLOWED)
    decisions.append(settings.evidence_dir, Decision("meeting", "", by=person.name(settings)))


def _test(asked: Mapping[str, Any], rows: Sequence[Row], settings: Settings) -> None:
    """Queue a test of everything for each row, beside the reference that was picked where one was."""
    picked = asked.get("reference")
    queued, batch = 0, f"wall {time.time():.3f}" if len(rows) > 1 else ""
    for row in rows:
        if row.case is None:
            continue
        case = replace(row.case, reference=picked or None) if isinstance(picked, str) else row.case
        stamp = f"{row.entry.stamp if row.entry else ''} {len(row.history)}"
        request = JobRequest("test", case, (), stamp)
        server.job_queue().submit(request, who.me(), again=True, batch=batch)
        queued += 1
    if queued == 0:
        raise InputError("Nothing was queued: the files of these cases are not all here.", fix="Add their folders.")
    st.toast(f"{queued} test{'s' if queued > 1 else ''} queued.", icon=":material/play_arrow:")


def _decide(asked: Mapping[str, Any], rows: Sequence[Row], settings: Settings) -> None:
    what = asked.get("what")
    if what not in DECIDE or not rows:
        raise InputError("This is no decision.", fix="Pick one of the list.")
    texts = {key: str(asked.get(key) or "") for key in ("owner", "note", "of")}
    for row in rows:
        decision = Decision(what, row.id, by=person.name(settings), name=row.name, **texts)
        decisions.append(settings.evidence_dir, decision)
    st.toast("Decided.", icon=":material/check:")
