"""What the pages say when a frozen record is open: the record's own words first, then what the files say today."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from diag.errors import one_line
from diag.evidence.records import Record
from diag.ui.shell import show
from diag.ui.shell.contents import ENTRY_KEYS
from diag.ui.shell.session import Selection


def banner(chosen: Selection) -> None:
    """Says that what follows is exactly what the record's author saw, and which of its files are not here."""
    assert chosen.record
    st.info(said(chosen.record), icon=":material/lock:")
    missing = [role for role in ENTRY_KEYS if chosen.record.inputs.get(role) and getattr(chosen, role) is None]
    if missing:
        named = "; ".join(f"the {role} {_named(chosen.record, role)}" for role in missing)
        st.caption(f"Not on this machine: {show.plain(named)}.")


def said(record: Record) -> str:
    """What a frozen record is, and of when."""
    return f"A frozen record: exactly the numbers its author saw, made {record.created[:16].replace('T', ' ')} UTC."


def check(chosen: Selection, which: Literal["data", "tie"]) -> None:
    """The record's check of the data or of the tie, and where the frozen part ends. Nothing without a record."""
    if chosen.record is None:
        return
    banner(chosen)
    found = chosen.record.baseline.data if which == "data" else chosen.record.baseline.tie
    if found.status != "unknown":
        with st.container(border=True):
            show.badge(found.status)
            st.write(show.plain(found.text))
    st.caption("What follows was not recorded: it is read from the files on this machine, now.")


def nothing(role: Literal["shard", "checkpoint"], record: Record | None) -> None:
    """Nothing to look at, and what to do about it."""
    if record:
        named = show.plain(_named(record, role))
        st.info(
            f"The {role} of this record is not on this machine: {named}. Add its folder to the roots, or leave the "
            "record."
        )
    else:
        st.info(f"No {role} is picked. Pick one in the sidebar, or add its folder to the roots (subrandom.toml).")


def _named(record: Record, role: str) -> str:
    """A file of a record by the name that its author used, and by its content."""
    part = record.inputs[role]
    found = part.get("fingerprint")
    return one_line(part["name"], 200) + (f" (fingerprint {one_line(str(found), 80)})" if found else "")
