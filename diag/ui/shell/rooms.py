"""The line that every room of a case begins with: its verdict, so that no page says another thing than the case."""

from __future__ import annotations

import streamlit as st

from diag.report.brief import brief
from diag.report.look import look
from diag.ui.shell import results, session, show
from diag.ui.shell.session import Selection

MAX_BYTES = 2_000_000_000  # of files that are read for their fingerprint, once: about a second


def verdict(chosen: Selection) -> None:
    """The verdict as a link to the case; nothing where the case was never run."""
    entries = (chosen.shard, chosen.checkpoint, chosen.reference)
    if chosen.case is None or (not chosen.record and sum(e.bytes for e in entries if e) > MAX_BYTES):
        return
    known = results.results(chosen)
    record = known.full or known.loaded
    if record:
        found = brief(record)
        of = look(found.word)
        with st.container(key="case-verdict"):
            label = f":{of.ink.page}[{of.mark} {show.plain(found.verdict)}]"
            show.link("case", label, session.link_of(chosen.case, chosen.record), icon=":material/arrow_back:")
