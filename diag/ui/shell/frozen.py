"""What the pages say when a frozen record is open: the record's own words first, then what the files say today."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from diag.evidence.records import Record
from diag.ui.shell import show, words


def banner(record: Record) -> None:
    """Says that what follows is exactly what the record's author saw."""
    text = f"A frozen record: exactly the numbers its author saw. {show.plain(words.provenance(record))}"
    st.info(text, icon=":material/lock:")


def check(record: Record | None, which: Literal["data", "tie"]) -> None:
    """The record's check of the data or of the tie, and where the frozen part ends. Nothing without a record."""
    if record is None:
        return
    banner(record)
    found = record.baseline.data if which == "data" else record.baseline.tie
    if found.status != "unknown":
        with st.container(border=True):
            show.badge(found.status)
            st.write(show.plain(found.text))
    st.caption("What follows was not recorded: it is read from the files on this machine, now.")


def nothing(what: str, record: Record | None) -> None:
    """Nothing to look at, and what to do about it."""
    if record:
        st.info(f"The {what} of this record is not on this machine. Add its folder to the roots, or leave the record.")
    else:
        st.info(f"No {what} is picked. Pick one in the sidebar, or add its folder to the roots (subrandom.toml).")
