"""What next? Every case with its newest verdict, worst first, for a meeting's screen."""

import streamlit as st

from diag.ui.shell import columns, contents, knowledge, session, show
from diag.ui.shell.session import Selection
from diag.ui.triage import table as triage


def page(chosen: Selection) -> None:
    """One sentence about where things stand, then the table."""
    st.title("What next?", anchor=False)
    with show.guard("The cases cannot be listed"):
        known = knowledge.known(chosen.settings)
        demo = triage.demo_cases(chosen.catalogue, chosen.settings.demo_dir)
        here = {id: case for case in demo if (id := contents.case_id_of(case, chosen.catalogue))}
        rows = triage.rows(known.records, here)
        if not rows:
            st.info(
                "No case yet. Pick a shard and a checkpoint in the sidebar, then run a test on the hypotheses page."
            )
            return
        st.markdown(f"**{show.plain(triage.summary(rows))}**")
        first = rows[0]
        if first.newest:
            st.write(f"Worst first: {show.plain(first.names[1])}. {show.plain(first.newest.text or '')}")
        show.table(
            triage.table(rows),
            "triage",
            column_config=columns.TRIAGE,
            row_height=44,
            height="content",
        )
        st.caption(
            "One row per case: a shard and its window, a checkpoint and a reference, by what the files hold and not by "
            "their names. The newest test counts, or the newest measurement where there is none. Losses are nats per "
            "token. 'open' leads to the record, or to the case where there is none yet."
        )
        show.warnings(known.problems)


page(session.selection())
