"""The triage page: one sentence about where things stand, then all cases in one table, worst first."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from diag.ui.shell import show
from diag.ui.triage import cases, columns
from diag.ui.triage.cases import CaseRow


def show_cases(rows: Sequence[CaseRow]) -> None:
    """The cases, or how to get one."""
    if not rows:
        st.info("No case yet. Pick a shard and a checkpoint in the sidebar, then run a test on the hypotheses page.")
        return
    st.markdown(f"**{show.plain(cases.summary(rows))}**")
    first = rows[0]
    if first.newest:
        st.write(f"Worst first: {show.plain(first.names[1])}. {show.plain(first.newest.text or '')}")
    show.table(cases.table(rows), "triage", column_config=columns.TRIAGE, row_height=44, height="content")
    st.caption(
        "One row per case: a shard and its window, a checkpoint and a reference, by what the files hold and not by "
        "their names. The newest test of every hypothesis counts, else the newest test, else the newest measurement. "
        "Losses are nats per token. 'open' leads to the record, or to the case where there is none yet."
    )
