"""Is the data real? The audit of the picked shard: verdict first, then its curves, its files and its text."""

import streamlit as st

from diag.catalogue import Entry
from diag.errors import InputError, one_line
from diag.results import codec
from diag.results.ruler import GateResult
from diag.shards import ShardAudit
from diag.ui.shard import audits, reading_pane
from diag.ui.shard import tables as tables_shard
from diag.ui.shard import view as shard_view
from diag.ui.shell import columns, frozen, session, show, summaries
from diag.ui.shell.session import Selection


def page(chosen: Selection) -> None:
    """The page, from the verdict down to the table of everything."""
    st.title("Is the data real?", anchor=False)
    frozen.check(chosen.record, "data")
    shard = chosen.shard
    if shard is None:
        frozen.nothing("token shard", chosen.record)
        return
    with show.guard("The shard cannot be judged"):
        audit = audits.audited(chosen, shard)
        if audit is None:
            return
        text = audits.text(chosen)
        gate = audit.gate_at(chosen.case.gate_below if chosen.case else None)
        shard_view.verdict(audit, gate)
        here = (shard_view.label(shard, list(chosen.catalogue.of("shard"))), audit)
        there = compared(chosen, shard)
        if there:
            shard_view.comparison(here, there, text)
        shard_view.curves([here, *([there] if there else [])])
        shard_view.window_beside(audit, here[0])
        path, stamp = summaries.located(chosen.catalogue, shard)
        shard_view.predictors(audit, audits.held_out(path, stamp, audit.table_size))
        shard_view.files(audit)
        reading_pane.pane(path, audit, text)
        shard_view.most_frequent(audit, chosen.checkpoint is not None)
        shard_view.vocabularies(audit, text, audits.embedding_rows(chosen))
        everything(audit, shard, gate)


def compared(chosen: Selection, shard: Entry) -> shard_view.Named | None:
    """The picker of a second shard, and its audit; the choice is part of the link."""
    others = [entry for entry in chosen.catalogue.of("shard") if entry.id != shard.id]
    asked = st.query_params.get("compare", "")
    if asked and all(entry.id != asked for entry in others):
        says = f"The link compares with '{one_line(asked, 80)}', which is not another shard under the roots."
        show.problem(InputError(says, fix="Pick one below."))
    picked = st.selectbox(
        "Compare with",
        ["", *(entry.id for entry in others)],
        key="compare",
        bind="query-params",
        placeholder="no other shard",
        help="Puts another shard beside this one: a broken corpus beside the repaired one, for instance.",
    )
    if not picked:
        return None
    other = chosen.catalogue.get("shard", picked)
    with show.guard(f"The other shard, {show.plain(other.label)}, cannot be judged"):
        found = audits.audited(chosen, other)
        return (shard_view.label(other, [shard, *others]), found) if found else None
    return None


def everything(audit: ShardAudit, shard: Entry, gate: GateResult | None) -> None:
    """All numbers with unit and origin, and the same as `shard --json`."""
    st.subheader("Every number", anchor=False)
    show.table(tables_shard.shard_numbers(audit, gate), "shard-audit", column_config=columns.NUMBERS)
    show.notes(audit.notes)
    st.download_button(
        "The audit as JSON, as `shard --json` prints it",
        lambda: codec.dumps({**audit.to_json(), "path": shard.id, "gate": gate}, indent=1),
        file_name="shard-audit.json",
        mime="application/json",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


page(session.selection())
