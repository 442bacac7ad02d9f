"""Is it worse than chance? The answer on the picked case on one screen, and what is known before anything has run."""

import streamlit as st

from diag.ui.case import answer, view
from diag.ui.shell import costs, empty, frozen, preview, results, run, session, show
from diag.ui.shell.session import Selection

QUESTION = "Is it worse than chance?"
MEASURE = "One forward pass of the checkpoint, and one of the reference, on this window (Ctrl+Enter)."
TEST = "Every hypothesis, alone and on top of each other, until nothing more helps (Ctrl+Enter)."


def page(chosen: Selection) -> None:
    """The record that decides, if there is one; else what can be known without a forward pass."""
    if chosen.case is None:
        st.title(QUESTION, anchor=False)
        empty.nothing_picked(chosen)
        return
    known = results.results(chosen)
    record = known.full or known.loaded
    if record is None:
        st.title(QUESTION, anchor=False)
        _before(chosen, known.other_content)
        return
    answer.title(record)
    if chosen.record:
        frozen.banner(chosen)
    else:
        run.panel(chosen, "measure", everything=True)
    show.warnings((known.other_content,) if known.other_content else ())
    if record.diagnosis is None:
        answer.missing(record.baseline)
    view.promises(record, chosen.case)
    answer.first_screen(record, chosen.case, chosen)
    if record.diagnosis:  # whose conclusion is about just that
        answer.missing(record.baseline)
    if not chosen.record:
        with st.container(horizontal=True, vertical_alignment="center"):
            again = record.diagnosis is not None
            label = "Test again" if again else "Test every hypothesis"
            run.button(chosen, label, "test", main=not again, help=TEST, shortcut=run.SHORTCUT)
            run.button(chosen, "Measure again", "measure", help=MEASURE)
    answer.each_hypothesis(record.diagnosis, chosen)
    view.numbers_and_chart(record, chosen.case)
    view.checks(record.baseline.data, record.baseline.tie)
    answer.history(record.case_id, known.records, chosen)
    view.origin(record.baseline, record)
    if not chosen.record:
        empty.add_your_own(chosen)


def _before(chosen: Selection, other_content: str) -> None:
    """Nothing has run yet."""
    assert chosen.case
    empty.first_visit(chosen)
    run.panel(chosen, "measure", everything=True)
    show.warnings((other_content,) if other_content else ())
    with show.guard("This case cannot be measured"):
        seen = preview.preview(chosen)
        view.preview(seen)
        with st.container(horizontal=True, vertical_alignment="center"):
            run.button(chosen, "Measure the loss", "measure", main=True, help=MEASURE, shortcut=run.SHORTCUT)
            run.button(chosen, "Test every hypothesis", "test", help=TEST.replace(" (Ctrl+Enter)", ""))
        costs.caption(chosen, "measure")
        view.ruler(seen, chosen.case)
        view.checks(seen.data, seen.tie)
        show.notes(seen.notes)
    empty.add_your_own(chosen)


page(session.selection())
