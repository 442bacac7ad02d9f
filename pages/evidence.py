"""What do we already know? One search box over records and evidence folders, and the table of all records."""

import streamlit as st

from diag.settings import Settings
from diag.ui.evidence import view
from diag.ui.shell import knowledge, session, show


def page(settings: Settings) -> None:
    """Search first, then the records, then the import, which runs before them so that they hold what it brought."""
    st.title("What do we already know?", anchor=False)
    query = st.text_input(
        "Search records and evidence",
        key="q",
        bind="query-params",
        placeholder="a number, a tensor name, a status: for example 19.80 or lm_head confirmed",
        help="Numbers, identifiers and status words match as a whole. A * inside a word stands for anything.",
    )
    above = st.container()
    view.bring_in(settings)
    with above, show.guard("The index cannot be used"):
        known = knowledge.known(settings, query)
        if query.strip():
            view.answers(known, query)
        view.records(known.records)
        show.warnings(known.problems)
        st.caption(f"The index holds {known.documents:,} blocks of text; brought up to date in {known.seconds:.2f} s.")


page(session.selection().settings)
