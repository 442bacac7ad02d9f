"""The views of what is known: contradictions, the ledger, the timeline, two records side by side."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from diag.charts.timeline import timeline as chart
from diag.evidence.conflicts.table import conflicts
from diag.evidence.ledger import ledger
from diag.evidence.records import read_record
from diag.evidence.timeline import Series, marks, series
from diag.settings import Settings
from diag.ui.evidence import columns, tables
from diag.ui.evidence.document import open_link
from diag.ui.evidence.filters import Asked, here
from diag.ui.shell import knowledge, show

SHOWN = 40
DEFAULT_RUNS = 3
QUICK, SLOW = 5, 30  # seconds between looks at the folder: while it grows, and while it does not


def contradictions(settings: Settings, asked: Asked) -> None:
    """Two places that cannot both be right, each with its sentence and both links."""
    found = knowledge.kept(settings, "conflicts", conflicts)
    words = asked.query.lower().split()
    found = [c for c in found if all(word in f"{c.kind} {c.key} {c.text} {c.a.file}".lower() for word in words)]
    st.subheader("Contradictions and traps", anchor=False)
    if not found:
        st.info("None was found. The rules are in docs/evidence.md.")
        return
    for one in found[:SHOWN]:
        with st.container(border=True):
            st.markdown(f"**{show.plain(one.kind.replace('_', ' '))}** · {show.plain(one.key)}")
            st.markdown(show.plain(one.text))
            with st.container(horizontal=True):
                for place in (one.a, one.b):
                    if place and place.file and not place.file.startswith("records/"):
                        open_link(
                            place.file,
                            place.line,
                            f"line {place.line}: {place.raw}  ·  {_short(place.file)}",
                            place.digest,
                        )
    st.caption(f"{min(len(found), SHOWN)} of {len(found)} shown; the table has all.")
    show.table(tables.conflicts(found), "contradictions", column_config=columns.CONFLICTS)


def the_ledger(settings: Settings, asked: Asked) -> None:
    """Identifier by time: one row a gate, one column a day, the status of that day in the cell."""
    entries, _ = knowledge.look(settings, lambda con: ledger(con, asked.wanted.identifier or asked.query.strip()))
    st.subheader("Ledger", anchor=False)
    if not entries:
        st.info("No identifier of these letters has a status in any document.")
        return
    show.table(tables.ledger(entries), "ledger")
    for entry in entries[:SHOWN]:
        also = f" (also {', '.join(entry.aliases)})" if entry.aliases else ""
        with st.expander(
            show.plain(f"{entry.identifier}{also}: {entry.history[-1].status}"), expanded=len(entries) == 1
        ):
            for stated in entry.history:
                label = f"{stated.date or 'no date'}  {stated.status}  {_short(stated.file)}:{stated.line}"
                open_link(stated.file, stated.line, label, stated.digest)
    show.table(tables.ledger_rows(entries), "ledger-history")


def the_timeline(settings: Settings, asked: Asked) -> None:
    """Losses by epoch or step. Looks again at the folder: often while it grows, seldom while it does not."""
    grew = st.session_state.get("timeline-grew", False)
    st.fragment(_timeline, run_every=QUICK if grew else SLOW)(settings, asked)


def _timeline(settings: Settings, asked: Asked) -> None:
    found, report = knowledge.look(settings, series)
    grew = bool(report.added or report.changed)
    if grew != st.session_state.get("timeline-grew", False):
        st.session_state["timeline-grew"] = grew
        st.rerun()  # with another pause until the next look
    st.subheader("Timeline", anchor=False)
    names = [f"{one.run} · {one.name}" for one in found if (asked.wanted.run or "").lower() in one.run.lower()]
    if not names:
        st.info("No document gives losses by epoch or step.")
        return
    default = [name for name in names if "train" not in name][:DEFAULT_RUNS] or names[:DEFAULT_RUNS]
    picked = st.multiselect("Runs", names, default=default, key="runs", bind="query-params")
    shown = [one for one in found if f"{one.run} · {one.name}" in picked]
    axis = max({one.axis for one in shown}, key=lambda a: sum(one.axis == a for one in shown), default="epoch")
    shown = [one for one in shown if one.axis == axis]
    if not shown:
        return
    held, _ = knowledge.look(settings, lambda con: marks(con, shown))
    lines = [(f"{one.run} · {one.name}", _points(one)) for one in shown]
    show.chart(chart(lines, axis, chance=held.chance_nats, entropy=held.entropy_nats), "timeline")
    if held.above:
        st.warning(f"{show.plain(held.above.key)} = {show.plain(held.above.raw)} is about chance or above it.")
        open_link(held.above.file, held.above.line, "Open the line, and make a case of it", held.above.digest)
    st.caption("Points are cited in the table. The folder is looked at again while this page is open.")
    points = [fact for one in shown for _, fact in one.points]
    show.table(tables.facts(points, here), "timeline", column_config=columns.FACTS)


def compare(settings: Settings, asked: Asked) -> None:
    """Two records: only what differs."""
    st.subheader("Compare two records", anchor=False)
    rows = knowledge.record_rows(settings)
    if len(rows) < 2:
        st.info("There are fewer than two records.")
        return
    labels = {row.id: f"{row.id}  {row.created[:16].replace('T', ' ')}  {row.checkpoint}" for row in rows}
    with st.container(horizontal=True):
        a = st.selectbox("First record", list(labels), format_func=labels.__getitem__, key="a", bind="query-params")
        b = st.selectbox("Second record", list(labels), 1, format_func=labels.__getitem__, key="b", bind="query-params")
    with show.guard("These records cannot be compared"):
        one, other = (read_record(settings.evidence_dir, id).content for id in (a, b))
        found = _differences(one, other, "")
        st.caption(f"{len(found)} entries differ." if found else "Nothing differs.")
        frame = pd.DataFrame(found, columns=["entry", "first", "second"])
        show.table(frame, "differences")


def _points(one: Series) -> list[tuple[float, float, str]]:
    return [(where, fact.number or 0.0, f"{_short(fact.file)}:{fact.line}") for where, fact in one.points]


def _differences(a: Any, b: Any, path: str) -> list[tuple[str, str, str]]:
    """Entries that differ, by their path; lists of equal length entry by entry."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [*a, *(key for key in b if key not in a)]
        return [row for key in keys for row in _differences(a.get(key), b.get(key), f"{path}.{key}".lstrip("."))]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [row for i, (x, y) in enumerate(zip(a, b, strict=True)) for row in _differences(x, y, f"{path}[{i}]")]
    return [] if a == b else [(path, _said(a), _said(b))]


def _said(value: Any) -> str:
    return "–" if value is None else str(value)[:300]


def _short(file: str) -> str:
    """The last two parts of a path."""
    return "/".join(file.split("/")[-2:])
