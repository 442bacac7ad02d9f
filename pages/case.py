"""Is it worse than chance? The verdict on the picked case, and what is known before anything has run."""

import streamlit as st

from diag.ui.case import view
from diag.ui.shell import costs, empty, frozen, preview, results, run, session, show

HELP = "One forward pass of the checkpoint, and one of the reference, on this window (Ctrl+Enter)."

chosen = session.selection()
st.title("Is it worse than chance?", anchor=False)
if chosen.case is None:
    empty.nothing_picked(chosen)
    st.stop()

known = results.results(chosen)
if chosen.record:
    frozen.banner(chosen)
else:
    run.panel(chosen, "measure", everything=True)

record = known.loaded
if record:
    loaded = record.baseline
    view.verdict(loaded, chosen.case, record, chosen, known.other_content)
    view.concluded(known, chosen)
    view.checks(loaded.data, loaded.tie)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not chosen.record:
            run.button(chosen, "Measure again", "measure", help=HELP, shortcut=run.SHORTCUT)
        show.link("hypotheses", "Next: which defect explains it?", session.link_of(chosen.case, chosen.record))
    view.origin(loaded, record, chosen)
else:
    show.warnings((known.other_content,) if known.other_content else ())
    with show.guard("This case cannot be measured"):
        seen = preview.preview(chosen)
        view.preview(seen)
        with st.container(horizontal=True, vertical_alignment="center"):
            run.button(chosen, "Measure the loss", "measure", main=True, help=HELP, shortcut=run.SHORTCUT)
            show.link("hypotheses", "Next: which defect explains it?", session.link_of(chosen.case, None))
        costs.caption(chosen, "measure")
        view.ruler(seen, chosen.case)
        view.checks(seen.data, seen.tie)
        show.notes(seen.notes)
if not chosen.record:
    empty.add_your_own(chosen)
