"""Is the data real? The audit of the picked shard: verdict and figures, the ids drawn and read; details folded."""

import streamlit as st

from diag.shards.audit.compare import overlap_of, with_overlap
from diag.ui.shard import audits, compared, folded, places, reading_pane, view
from diag.ui.shell import frozen, session, show
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
        dataset = audits.dataset(chosen, shard, audit)
        here = compared.Side(shard, view.label(shard, list(chosen.catalogue.of("shard"))), audit, dataset)
        top = st.empty()
        view.verdict(top, audit, gate)
        there = compared.pick(chosen, here)
        found = overlap_of(audit, there.audit) if there else None
        if there:
            view.verdict(top, with_overlap(audit, there.audit, found), gate)
            places.overlap(found, here.name, there.name)
        left, right = st.columns((5, 6))
        with left:
            view.entropy(audit, audits.measured_loss(chosen))
            view.ranks([side.named for side in (here, there) if side], audit.table_size)
        with right:
            reading_pane.pane(dataset, audit, text)
            places.twice(audit, dataset)
            if there:
                compared.shared_places(found, here, there)
        if there:
            compared.comparison(here, there, text)
        places.all_tables(audit, found)
        folded.window(audit, here.name)
        folded.files(audit, text)
        folded.most_frequent(audit, chosen.checkpoint is not None)
        folded.curves([side.named for side in (here, there) if side])
        folded.vocabularies(audit, text, audits.embedding_rows(chosen))
        folded.everything(audit, shard, gate)


page(session.selection())
