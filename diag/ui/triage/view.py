"""The wall: every case and every checkpoint under the roots, drawn by our own component.

Around it stand the few controls that need the server. The view is in the address."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from diag.evidence import decisions
from diag.evidence.decisions import WORDS
from diag.report import numbers
from diag.ui.shell import empty, files, person, session, show, watched
from diag.ui.shell.session import Selection
from diag.ui.triage import actions, board, cells
from diag.ui.triage.last import Last
from diag.wall import board as shared
from diag.wall.rows import Row, build
from diag.wall.summaries import summaries

QUESTION = "Which checkpoints are broken, and what next?"
KEYS = {"q": "find", "tone": "show", "family": "family", "group": "group", "sort": "sort", "present": "present"}
MAX_VIEW = 200
FIRST_ROWS = 40  # that the page is served with, before Streamlit has started
BUSY_SECONDS, QUIET_SECONDS = 3.0, 20.0


def wall(chosen: Selection) -> None:
    """The rows, or how to get one."""
    if not chosen.catalogue.of("checkpoint"):
        empty.nothing_picked(chosen)
        if not summaries(chosen.settings.evidence_dir):
            return
    empty.first_visit(chosen, empty.ON_WALL)
    seen, states = files.looks(chosen.settings).want(chosen.catalogue)
    above = st.container()
    st.fragment(_board, run_every=QUIET_SECONDS if seen == states else BUSY_SECONDS)(chosen, seen == states)
    with above:
        watched.raised_losses(chosen)


def rows_of(chosen: Selection) -> tuple[list[Row], str, int]:
    """All rows, when the last meeting ended, and how many lines of the decisions cannot be read."""
    made, unread = decisions.read(chosen.settings.evidence_dir)
    case = chosen.case or session.default_case(chosen.catalogue)
    shard = case.shard if any(e.id == case.shard for e in chosen.catalogue.of("shard")) else ""
    looks, records = files.looks(chosen.settings).known(), summaries(chosen.settings.evidence_dir)
    rows = _rows.of(
        (chosen.catalogue, looks, records, made, shard),
        lambda: build(
            *(chosen.catalogue, looks, records, made), default_shard=shard, default_window=session.default_window
        ),
    )
    meeting = next((d.at for d in reversed(made) if d.what == "meeting"), "")
    return rows, meeting, unread


_rows: Last[list[Row]] = Last()
_drawn: Last[list[dict[str, Any]]] = Last()


def _board(chosen: Selection, was_quiet: bool) -> None:
    _write_view()
    seen, states = files.looks(chosen.settings).want(chosen.catalogue)
    if not was_quiet and seen == states:
        st.rerun()  # slower from now on
    rows, meeting, unread = rows_of(chosen)
    _headline(rows, seen, states)
    if unread:
        show.warnings((f"{unread} line(s) of the decisions cannot be read and are passed over.",))
    may = person.may_run(chosen.settings)
    data = {
        **shown(rows, meeting, _view(st.query_params.to_dict())),
        "may": {"test": may, "decide": may},
        "by": person.name(chosen.settings),
        "dark": st.context.theme.type == "dark",
    }
    answer = _component()(key="wall", data=data, on_view_change=_nothing, on_act_change=_nothing)
    if asked := answer.get("act"):
        with show.guard("This was not done"):
            actions.act(asked, rows, chosen)
            st.rerun(scope="fragment")
    _below(rows, chosen, may)


def shown(rows: Sequence[Row], meeting: str, view: Mapping[str, Any], most: int | None = None) -> dict[str, Any]:
    """What the browser draws, whoever looks. meeting: when the last one ended, in ISO 8601. most: of the rows."""
    right = cells.right_end(rows)
    now = time.time() // 60 * 60  # so that a row that is the same is not sent again
    some = rows[:most]
    drawn = _drawn if most is None else Last()
    return {
        "rows": drawn.of((some, now), lambda: [cells.cells(row, right, now) for row in some]),
        "partial": most is not None and most < len(rows),
        "right": right,
        "view": view,
        "decisions": [[word, words] for word, words in WORDS.items() if word in actions.DECIDE],
        "status": f"New since {meeting[:16].replace('T', ' ')} UTC is marked." if meeting else "",
    }


def first(chosen: Selection, address: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Where things stand in a sentence, and what the wall shows before Streamlit has started: its first rows, or all
    where the address asks for some of them, which the browser picks. Nobody may do anything there yet."""
    rows, meeting, _ = rows_of(chosen)
    view = _view(address)
    found = shown(rows, meeting, view, None if any(view.values()) else FIRST_ROWS)
    return cells.summary(rows), {**found, "may": {"test": False, "decide": False}, "by": ""}


def _headline(rows: list[Row], seen: int, states: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{show.plain(cells.summary(rows))}**")
        if seen < states:
            st.progress(seen / states, text=f"Reading headers and weights: {seen:,} of {states:,} distinct files")


def _below(rows: list[Row], chosen: Selection, may: bool) -> None:
    """The board for others, and the end of a meeting."""
    title, base = "Subrandom board", chosen.settings.base_url
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, build_text, mime in (
            ("Markdown", lambda: shared.board_markdown(rows, base), "text/markdown"),
            ("HTML", lambda: shared.board_html(rows, title, base), "text/html"),
        ):
            st.download_button(
                f"Board as {label}",
                build_text,
                file_name=f"subrandom-board.{'md' if label == 'Markdown' else 'html'}",
                mime=mime,
                key=f"board-{label}",
                type="tertiary",
                on_click="ignore",
                icon=":material/download:",
            )
        ended = st.button(
            "End the meeting",
            type="tertiary",
            icon=":material/event_available:",
            disabled=not may,
            help="What comes after it is marked as new.",
        )
    if ended:
        with show.guard("The meeting was not ended"):
            actions.end_meeting(chosen.settings)
            st.rerun(scope="fragment")
    end = numbers.figure(cells.right_end(rows))
    st.caption(
        "One row a case: a shard and its window, a checkpoint and a reference, by what the files hold. All losses are "
        f"in nats a token, on one axis that ends at {end}; ◆ as loaded, ○ repaired, a bar the reference."
    )


def _view(raw: Mapping[str, str]) -> dict[str, Any]:
    """What the address says, every word of it untrusted: the browser only compares with it."""
    found: dict[str, Any] = {key: raw[name][:MAX_VIEW] for key, name in KEYS.items() if name in raw}
    pins = raw.get("pin", "")
    return {**found, "pin": [pin for pin in pins.split(",") if pin][:50]}


def _nothing() -> None:
    """A change of state is news by itself."""


def _write_view() -> None:
    """Make the address say what the wall shows.

    At every run, not when the view changes: a request that the browser sent before it heard of the change still
    carries the old address, and the server would take that for the new one.
    """
    view = st.session_state.get("wall", {}).get("view")
    if not isinstance(view, Mapping):
        return
    for key, name in KEYS.items():
        _write(name, str(view.get(key) or "")[:MAX_VIEW])
    pins = view.get("pin")
    _write("pin", ",".join(str(pin) for pin in pins[:50]) if isinstance(pins, list) else "")


def _write(name: str, value: str) -> None:
    if value:
        if st.query_params.get(name) != value:
            st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("subrandom_wall", css=board.style(), js=board.script(), isolate_styles=False)
