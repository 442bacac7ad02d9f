"""What does the file really hold? Tie status first, then findings, the reference, every tensor, and one of them."""

import streamlit as st

from diag.ui.shell import contents, frozen, session, show
from diag.ui.shell.session import Selection
from diag.ui.weights import comparisons, reads, tensor_pane, view


def page(chosen: Selection) -> None:
    """The page for the picked checkpoint, the reference beside it where there is one."""
    st.title("What does the file really hold?", anchor=False)
    frozen.check(chosen, "tie")
    entry = chosen.checkpoint
    if entry is None:
        frozen.nothing("checkpoint", chosen.record)
        return
    with show.guard("The checkpoint cannot be read"):
        place = contents.located(chosen.catalogue, entry)
        if not view.wanted(entry):
            return
        found = reads.checkpoint_audit(*place)
        view.verdict(found.tie)
        view.facts(found.audit, entry)
        view.findings(found.audit)
        view.pictures(found.tie, place)
        comparisons.section(chosen, entry)
        tensor_pane.table(found.tensors, view.reference_tensors(chosen), chosen.reference)
        tensor_pane.one(chosen, entry, found.tensors["name"].tolist())
        view.configuration(found.audit)


page(session.selection())
