"""Is the data real? The audit of the picked shard: verdict first, then its curves, its files and its text."""

import streamlit as st

from diag.ui.shard import audits, compared, reading_pane, view
from diag.ui.shell import contents, frozen, session, show
from diag.ui.shell.session import Selection


def page(chosen: Selection) -> None:
    """The page, from the verdict down to the table of everything."""
    st.title("Is the data real?", anchor=False)
    frozen.check(chosen, "data")
    shard = chosen.shard
    if shard is None:
        frozen.nothing("shard", chosen.record)
        return
    with show.guard("The shard cannot be judged"):
        audit = audits.audited(chosen, shard)
        if audit is None:
            return
        text = audits.text(chosen)
        gate = audit.gate_at(chosen.case.gate_below if chosen.case else None)
        view.verdict(audit, gate)
        here = (view.label(shard, list(chosen.catalogue.of("shard"))), audit)
        there = compared.pick(chosen, shard)
        if there:
            compared.comparison(here, there, text)
        view.curves([here, *([there] if there else [])])
        view.window_beside(audit, here[0])
        path, stamp = contents.located(chosen.catalogue, shard)
        view.predictors(audit, audits.held_out(path, stamp, audit.table_size))
        view.files(audit)
        reading_pane.pane(path, audit, text)
        view.most_frequent(audit, chosen.checkpoint is not None)
        view.vocabularies(audit, text, audits.embedding_rows(chosen))
        view.everything(audit, shard, gate)


page(session.selection())
