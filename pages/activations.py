"""Where does the signal break? Norms of the stream and of what each layer adds to it, beside the reference's."""

import streamlit as st

from diag.ui.activations import view
from diag.ui.shell import empty, frozen, results, run, session
from diag.ui.shell.session import Selection


def page(chosen: Selection) -> None:
    """The newest measurement of the case, or how to get one."""
    st.title("Where does the signal break?", anchor=False)
    if chosen.case is None:
        empty.nothing_picked(chosen)
        return
    known = results.results(chosen)
    record = known.loaded
    found = record.baseline if record else None
    own = found.measurement.layers if found and found.measurement else ()
    if chosen.record:
        frozen.banner(chosen)
    else:
        run.panel(chosen, "measure", everything=True)
    if record and found and own:
        view.signal(own, found, record, chosen, known.other_content)
    else:
        view.nothing_measured(chosen, found)
    if not chosen.record:
        label = "Measure again" if own else "Measure the layers"
        run.button(chosen, label, "measure", main=not own, help="One forward pass, and one of the reference.")


page(session.selection())
