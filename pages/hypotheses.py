"""Which defect explains it? One card for each hypothesis, and above them what a test of all of them concluded."""

import streamlit as st

from diag.hypotheses.registry import REGISTRY
from diag.ui.hypotheses import now, view
from diag.ui.shell import costs, empty, frozen, results, run, session, show

chosen = session.selection()
st.title(view.QUESTION, anchor=False)
if chosen.case is None:
    empty.nothing_picked(chosen)
    st.stop()

known = results.results(chosen)
if chosen.record:
    frozen.banner(chosen)
    if not known.findings:
        st.markdown("This record is a measurement: no hypothesis was tested in it.")
        show.link("case", "Show the measurement", {"record": chosen.record.id}, icon=":material/arrow_back:")
        st.stop()
else:
    with st.container(horizontal=True, vertical_alignment="center"):
        help = "Tests every hypothesis, alone and on top of each other, until nothing more helps (Ctrl+Enter)."
        run.button(
            chosen,
            "Test all again" if known.full else "Test all",
            "test",
            main=not known.full,
            help=help,
            shortcut=run.SHORTCUT,
        )
        if not known.full:
            st.caption("Defects stack: only a test of all of them can say that nothing else is broken.")
    costs.caption(chosen, "test")
    run.panel(chosen, "test", everything=True)

show.warnings((known.other_content,) if known.other_content else ())
record = known.full
diagnosis = record.diagnosis if record else None
if record and diagnosis:
    with st.container(border=True, key="conclusion"):
        view.conclusion(diagnosis)
        now.what_to_do(record, diagnosis, chosen)
        show.permalink(record, chosen.settings, report=True)
        there = session.link_of(chosen.case, chosen.record)
        show.link("case", "Back to the loss on its ruler", there, icon=":material/straighten:")

for card in REGISTRY:
    if not chosen.record or card.id in known.findings:
        view.show_card(card, known, chosen)
if record and diagnosis:
    show.notes(diagnosis.all_notes)
