"""What next? Every case with its newest verdict, worst first, for a meeting's screen."""

import streamlit as st

from diag.ui.evidence import knowledge
from diag.ui.shell import columns, session, show
from diag.ui.shell.session import Selection
from diag.ui.triage import table as triage


def page(chosen: Selection) -> None:
    """One sentence about where things stand, then the table."""
    st.title("What next?", anchor=False)
    with show.guard("The cases cannot be listed"):
        known = knowledge.known(chosen.settings)
        demo = triage.demo_cases(chosen.catalogue, chosen.settings.demo_dir)
        rows = triage.rows(known.records, demo)
        if not rows:
            st.info(
                "No case yet. Pick a shard and a checkpoint in the sidebar, then run a test on the hypotheses page."
            )
            return
        st.markdown(f"**{show.plain(triage.summary(rows))}**")
        first = rows[0]
        if first.record:
            st.write(f"Worst first: {show.plain(first.checkpoint)}. {show.plain(first.text)}")
        show.table(
            triage.table(rows),
            "triage",
            column_config=columns.TRIAGE,
            row_height=44,
            height="content",
        )
        st.caption(
            "One row per shard, checkpoint and reference. The newest test counts, or the newest measurement where "
            "there is none. Losses are nats per token. 'open' leads to the record, or to the "
            "case where there is none yet."
        )
        show.warnings(known.problems)


page(session.selection())
