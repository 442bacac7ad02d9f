"""What is asked for: the words, the filters and the view, all in the address."""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st

from diag.evidence.facts.status import WORDS
from diag.evidence.known_facts import Filter

SEARCH = "Search records and evidence"
VIEWS = ("Answers", "Contradictions", "Ledger", "Timeline", "Compare")
KEYS = ("q", "view", "key", "state", "name", "run", "file", "since", "until", "low", "high", "runs", "a", "b")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
KINDS = ("md", "txt", "log", "json", "jsonl", "yaml", "csv", "tsv")


@dataclass(frozen=True)
class Asked:
    """The query, the view, and the filter; `filtered` when any is set."""

    query: str
    view: str
    wanted: Filter
    filtered: bool


def draw() -> Asked:
    """The search box, the view, and the filters."""
    query = st.text_input(
        SEARCH,
        key="q",
        bind="query-params",
        placeholder="a number, a tensor name, a status: for example 19.80 or lm_head confirmed",
        help="Numbers, identifiers and status words match as a whole. A * inside a word stands for anything.",
    )
    view = st.segmented_control("View", VIEWS, default=VIEWS[0], key="view", bind="query-params") or VIEWS[0]
    set_already = any(st.query_params.get(key) for key in KEYS[2:11])
    with st.expander("Filters", expanded=set_already, icon=":material/filter_list:"):
        with st.container(horizontal=True):
            key = _text("Key", "key", "val_loss, shards …")
            state = st.selectbox("Status", sorted(WORDS), index=None, key="state", bind="query-params", width=170)
            name = _text("Identifier", "name", "FALSIFY-005")
            run = _text("Run", "run", "part of a folder's name")
            kind = st.selectbox("Kind of file", KINDS, index=None, key="file", bind="query-params", width=140)
        with st.container(horizontal=True):
            since, until = _text("From day", "since", "2026-05-09"), _text("To day", "until", "2026-05-17")
            low, high = _text("Loss from (nats)", "low", "0"), _text("Loss to (nats)", "high", "12")
        st.caption("Filters are of facts. They are in the address, so a link shows the same.")
    for label, day in (("From day", since), ("To day", until)):
        if day and not _DAY.fullmatch(day):
            st.caption(f"{label} is no day such as 2026-05-09, and is left out.")
    wanted = Filter(
        key=key or None,
        run=run or None,
        kind=kind,
        status=state,
        identifier=name.strip().replace("_", "-") or None,
        since=since if _DAY.fullmatch(since) else None,
        until=until if _DAY.fullmatch(until) else None,
        low=_number(low),
        high=_number(high),
        text=query or None,
    )
    return Asked(query, view, wanted, any((key, state, name, run, kind, since, until, low, high)))


def here(**changes: str) -> dict[str, str]:
    """The address as it is, with some of its parts changed: what a link within the page carries."""
    kept = {key: st.query_params[key] for key in KEYS if st.query_params.get(key)}
    return {**kept, **{key: value for key, value in changes.items() if value}}


def _text(label: str, key: str, placeholder: str) -> str:
    return st.text_input(label, key=key, bind="query-params", placeholder=placeholder, width=190).strip()


def _number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
