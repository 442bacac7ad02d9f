"""What next? Every case with its newest verdict, worst first, for a meeting's screen."""

import streamlit as st

from diag.ui.shell import contents, knowledge, session, show
from diag.ui.shell.session import Selection
from diag.ui.triage import cases, view


def page(chosen: Selection) -> None:
    """All records by their case, and the demo's cases that nobody has run."""
    st.title("What next?", anchor=False)
    with show.guard("The cases cannot be listed"):
        known = knowledge.known(chosen.settings)
        demo = cases.demo_cases(chosen.catalogue, chosen.settings.demo_dir)
        here = {id: case for case in demo if (id := contents.case_id_of(case, chosen.catalogue))}
        view.show_cases(cases.rows(known.records, here))
        show.warnings(known.problems)


page(session.selection())
