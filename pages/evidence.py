"""What do we already know? One search box over facts, documents and records; contradictions, ledger, timeline."""

import streamlit as st

from diag.ui.evidence import document, filters, known_views, view
from diag.ui.shell import knowledge, session, show
from diag.ui.shell.session import Selection

VIEWS = {
    "Contradictions": known_views.contradictions,
    "Ledger": known_views.the_ledger,
    "Timeline": known_views.the_timeline,
    "Compare": known_views.compare,
}


def page(chosen: Selection) -> None:
    """Search first, then the document of the address, the view, the records, and the import, which runs before them."""
    settings = chosen.settings
    st.title(view.QUESTION, anchor=False)
    asked = filters.draw()
    above = st.container()
    view.bring_in(settings)
    with above, show.guard("The index cannot be used"):
        document.shown(chosen)
        if asked.view in VIEWS:
            VIEWS[asked.view](settings, asked)
            return
        known = knowledge.known(settings, asked.query)
        if asked.query.strip() or asked.filtered:
            view.answers(settings, known, asked)
        view.records(known.records)
        show.warnings(known.problems)
        st.caption(f"The index holds {known.documents:,} blocks of text; brought up to date in {known.seconds:.2f} s.")


page(session.selection())
