"""Is the data real? The audit of the picked shard: verdict, numbers, frequencies, the most frequent ids."""

import streamlit as st

from diag import jsonio
from diag.catalogue import Entry
from diag.ui import charts, columns, frozen, session, show, summaries, tables
from diag.ui.session import Selection


def page(chosen: Selection) -> None:
    """The page, from the verdict down to the table of everything."""
    st.title("Is the data real?", anchor=False)
    frozen.check(chosen.record, "data")
    if chosen.shard is None:
        frozen.nothing("token shard", chosen.record)
        return
    with show.guard("The shard cannot be judged"):
        head = None
        if chosen.checkpoint:
            head = summaries.head(*summaries.located(chosen.catalogue, chosen.checkpoint))
        found = summaries.shard_audit(
            *summaries.located(chosen.catalogue, chosen.shard),
            rows=head.rows if head else None,
            tokenizer_dir=head.tokenizer_dir if head else None,
            gate=chosen.case.gate_below if chosen.case else None,
        )
        verdict(found.audit)
        st.subheader("How often each id occurs", anchor=False)
        st.caption("Text falls off along a slanted line over thousands of ids. A cliff after a few ids is no language.")
        figure = charts.rank_frequency([(chosen.shard.label, found.rank, found.count)])
        st.plotly_chart(figure, width="stretch", key="rank-frequency", config=columns.CHART)
        most_frequent(found.audit, head is not None, head is not None and head.tokenizer_dir is not None)
        vocabularies(found, head)
        everything(found.audit, chosen.shard)


def verdict(audit: dict) -> None:
    """The status word, its reasons, the numbers to remember, the gate."""
    show.badge(audit["status"])
    if audit["reasons"]:
        for reason in audit["reasons"]:
            st.markdown(f"- {show.plain(reason['message'])}")
    else:
        st.write("No alarm: every id is in range, and no id or unknown token dominates.")
    top = audit["top"][0]
    with st.container(horizontal=True):
        st.metric("Tokens", f"{audit['tokens']:,}", border=True)
        st.metric("Distinct ids", f"{audit['distinct']:,}", border=True)
        st.metric(
            "Entropy per token",
            f"{audit['entropy_nats']:.4g} nats",
            delta=f"{audit['entropy_bits']:.4g} bits, n = {audit['tokens']:,}",
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        share = f"{top['share']:.2%} of tokens"
        st.metric("Most frequent id", f"{top['id']}", delta=share, delta_color="off", delta_arrow="off", border=True)
    if audit["gate"]:
        below, word = audit["gate"]["below"], audit["gate"]["word"]
        show.badge(word)
        st.write(
            f"The gate 'loss below {below:g} nats' is passed by word counts alone: it measures the data, not the model."
            if word == "VOID"
            else f"Word counts alone do not pass the gate 'loss below {below:g} nats'. Whether the model does is a "
            "matter of its loss: see the case page."
        )


def most_frequent(audit: dict, has_checkpoint: bool, has_text: bool) -> None:
    """The 30 most frequent ids with their text."""
    st.subheader("The most frequent ids", anchor=False)
    if not has_text:
        st.caption(
            "The checkpoint has no usable tokenizer.json beside it, so the ids have no text."
            if has_checkpoint
            else "Pick a checkpoint with a tokenizer to see the text of each id."
        )
    show.table(tables.top_ids(audit), "most-frequent-ids", column_config=columns.TOP_IDS)


def vocabularies(found: summaries.ShardSummary, head: summaries.Head | None) -> None:
    """The three sizes that are taken for one another."""
    st.subheader("Three vocabulary sizes", anchor=False)
    st.caption("An id at or above the embedding's rows has no vector; rows beyond the tokenizer are padding.")
    show.table(
        tables.vocabulary(found.tokenizer_entries, found.tokenizer_with_added, head.rows if head else None),
        "vocabulary",
        column_config=columns.VOCABULARY,
    )


def everything(audit: dict, shard: Entry) -> None:
    """All numbers with unit and origin, and the same as `shard --json`."""
    st.subheader("Every number", anchor=False)
    show.table(tables.shard_numbers(audit), "shard-audit", column_config=columns.NUMBERS)
    show.notes(tuple(audit["notes"]))
    st.download_button(
        "The audit as JSON, as `shard --json` prints it",
        jsonio.dumps({**audit, "path": shard.id}, indent=1),
        file_name="shard-audit.json",
        mime="application/json",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )


page(session.selection())
