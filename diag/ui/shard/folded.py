"""The details of the shard page, folded: window, files, ids, curves, vocabularies, every number."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from diag import charts
from diag.catalogue import Entry
from diag.report.look import marked
from diag.results import codec
from diag.results.ruler import GateResult
from diag.shards import ShardAudit, TokenText
from diag.shards.audit.compare import side_by_side
from diag.shards.text import texts_of, visible
from diag.ui.shard import columns, tables
from diag.ui.shard.view import Named
from diag.ui.shell import show
from diag.ui.shell.columns import NUMBERS


def window(audit: ShardAudit, name: str) -> None:
    """What a trainer validates on, against the whole shard: a good shard can start with a bad window."""
    found = audit.window
    if found is None:
        st.caption("The first file does not hold one sequence of the picked window; see the notes at the end.")
        return
    title = f"What a trainer validates on, beside the whole shard: {marked(found.status)}"
    odd = any(reason.code == "odd_window" for reason in audit.reasons)
    with st.expander(show.plain(title), expanded=odd, icon=":material/crop:"):
        st.caption(
            f"The window is the first {found.tokens:,} ids in reading order. With so few, the entropy is estimated "
            "too low: it tells broken data from real, and is no baseline."
        )
        if found.status != "ok":
            show.badge(found.status, of="window:")
            st.markdown("\n".join(f"- {show.plain(reason.message)}" for reason in found.reasons))
        frame = tables.side_by_side(side_by_side(found, audit), "window", name)
        show.table(frame, "window-and-shard", column_config=columns.BESIDE, height="content")


def files(audit: ShardAudit, text: TokenText | None) -> None:
    """The files of a folder, each judged by itself and held against the others; the ids that vary most."""
    if not audit.parts and not audit.bad_files:
        return
    odd = sum(part.differs or part.status != "ok" for part in audit.parts) + len(audit.bad_files)
    title = f"File by file: {audit.files + len(audit.bad_files):,} files, {odd:,} of them conspicuous"
    folded = st.expander(title, icon=":material/folder:", key="files", on_change="rerun")
    if not folded.open:
        return
    with folded:
        st.caption(
            "Divergence: how far a file's ids are from those of all other files (Jensen-Shannon, in bits: 0 equal, 1 "
            "nothing in common), less what sampling explains. Over 0.02 bits and three times the median, it is "
            "named as differing."
        )
        show.table(tables.parts(audit.parts, audit.bad_files), "files", column_config=columns.PARTS)
        _drift(audit, text)


def _drift(audit: ShardAudit, text: TokenText | None) -> None:
    found = audit.by_file
    if found is None:
        return
    st.markdown("**The ids that vary most between files**")
    texts = texts_of(text, found.ids)
    named = [f"{id} {visible(shown) or ''}".strip() for id, shown in zip(found.ids, texts, strict=True)]
    names = found.files if len(set(found.files)) == len(found.files) else tables.distinct(found.files)
    show.chart(charts.ids_by_file(named, names, found.shares), "ids-by-file")
    shown = f"{len(found.files):,} of {found.all_files:,} files, conspicuous ones first chosen"
    st.caption(
        "By the standard deviation of their share beyond what sampling explains, most first. "
        f"{shown if len(found.files) < found.all_files else 'All files'}; cells as in the median file are pale."
    )
    show.table(tables.by_file(found, texts), "ids-by-file-shares")


def most_frequent(audit: ShardAudit, has_checkpoint: bool) -> None:
    """The 30 most frequent ids with their text."""
    with st.expander("The most frequent ids", icon=":material/format_list_numbered:"):
        if not any(token.text for token in audit.top):
            st.caption(
                "The checkpoint has no usable tokenizer.json beside it, so the ids have no text."
                if has_checkpoint
                else "Pick a checkpoint with a tokenizer to see the text of each id."
            )
        show.table(tables.top_ids(audit), "most-frequent-ids", column_config=columns.TOP_IDS)


def curves(audits: Sequence[Named]) -> None:
    """Coverage and document lengths; of several shards on the same axes."""
    title = "How few ids make up the text, and how long documents are"
    folded = st.expander(title, icon=":material/show_chart:", key="curves", on_change="rerun")
    if not folded.open:  # two charts are a third of what the page costs
        return
    with folded:
        left, right = st.columns(2)
        with left:
            figure = charts.coverage([(name, *audit.coverage()) for name, audit in audits])
            show.chart(figure, "coverage")
        with right:
            known = [(name, *audit.lengths.curve()) for name, audit in audits if audit.lengths]
            if known:
                show.chart(charts.document_lengths(known), "document-lengths")
            for name, audit in audits:
                _documents(name, audit)


def _documents(name: str, audit: ShardAudit) -> None:
    found = audit.documents
    if found is None:
        st.caption(
            f"{show.plain(name)}: where documents end is not known. The format does not say, and no id that is known "
            "to end one occurs; a checkpoint with a tokenizer names such ids."
        )
        return
    st.caption(
        f"{show.plain(name)}: {found.documents:,} documents, as ended by {show.plain(found.by)}. Median "
        f"{found.median:,} tokens, 10 to 90 % {found.p10:,} to {found.p90:,}, longest {found.longest:,}."
    )


def vocabularies(audit: ShardAudit, text: TokenText | None, rows: int | None) -> None:
    """The three sizes that are taken for one another."""
    with st.expander("Three vocabulary sizes", icon=":material/straighten:"):
        st.caption("An id at or above the embedding's rows has no vector; rows beyond the tokenizer are padding.")
        entries, added = (text.vocab_size, text.vocab_size_with_added) if text else (None, None)
        frame = tables.vocabulary(audit, entries, added, rows)
        show.table(frame, "vocabulary", column_config=columns.VOCABULARY)


def everything(audit: ShardAudit, shard: Entry, gate: GateResult | None) -> None:
    """All numbers with unit and origin, and the same as `shard --json`."""
    with st.expander("Every number", icon=":material/table_rows:"):
        show.table(tables.shard_numbers(audit, gate), "shard-audit", column_config=NUMBERS)
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
