"""What does the file really hold? Tie status first, then findings, the reference, every tensor, and one of them."""

import pandas as pd
import streamlit as st

from diag.catalogue import Entry
from diag.ui.shell import frozen, session, show, summaries
from diag.ui.shell.session import Selection
from diag.ui.weights import comparisons, tensor_pane
from diag.ui.weights import view as weights_view

AT_ONCE_BYTES = 1_000_000_000  # some seconds; a larger file is read when somebody asks
SECONDS_A_GB = 4


def page(chosen: Selection) -> None:
    """The page for the picked checkpoint, the reference beside it where there is one."""
    st.title("What does the file really hold?", anchor=False)
    frozen.check(chosen.record, "tie")
    entry = chosen.checkpoint
    if entry is None:
        frozen.nothing("checkpoint", chosen.record)
        return
    with show.guard("The checkpoint cannot be read"):
        place = summaries.located(chosen.catalogue, entry)
        if not wanted(entry):
            return
        found = summaries.checkpoint_audit(*place)
        weights_view.verdict(found.tie)
        weights_view.facts(found.audit, entry)
        weights_view.findings(found.audit)
        weights_view.pictures(found.tie, place)
        comparisons.section(chosen, entry)
        tensor_pane.table(found.tensors, reference_tensors(chosen), chosen.reference)
        tensor_pane.one(chosen, entry, found.tensors["name"].tolist())
        weights_view.configuration(found.audit)


def wanted(entry: Entry) -> bool:
    """Small files are read at once, large ones on demand."""
    if entry.bytes <= AT_ONCE_BYTES:
        return True
    size = entry.bytes / 1e9
    st.info(f"The file has {size:.1f} GB. Reading every tensor takes about {size * SECONDS_A_GB:.0f} s the first time.")
    return st.toggle("Read every tensor", key="read-all")


def reference_tensors(chosen: Selection) -> pd.DataFrame | None:
    """The reference's tensors; None without one, or where it is large and was not read yet."""
    if chosen.reference is None or chosen.reference.bytes > AT_ONCE_BYTES:
        return None
    with show.guard("The reference cannot be read"):
        return summaries.tensor_table(*summaries.located(chosen.catalogue, chosen.reference))
    return None


page(session.selection())
