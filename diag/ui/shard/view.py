"""The parts of the shard page: verdict, curves, files, all numbers. Each draws one thing."""

from __future__ import annotations

import streamlit as st

from diag.catalogue import Entry
from diag.report import numbers
from diag.results import codec
from diag.results.ruler import GateResult
from diag.shards import ShardAudit, TokenText
from diag.shards.audit.compare import side_by_side
from diag.shards.figures.bigram import Bigram
from diag.ui import charts
from diag.ui.shard import columns, tables
from diag.ui.shell import show
from diag.ui.shell.columns import NUMBERS
from diag.units import bits

Named = tuple[str, ShardAudit]
"""A shard's label and its audit."""

GATE_SENTENCES = {
    "VOID": "The gate 'loss below {below:g} nats' is passed by the unigram alone, or by always guessing the most "
    "frequent id: it measures the data, not the model.",
    "UNKNOWN": "The unigram alone does not pass the gate 'loss below {below:g} nats'. Whether the model does is a "
    "matter of its loss: see the case page.",
}


def verdict(audit: ShardAudit, gate: GateResult | None) -> None:
    """The status word, its reasons, the numbers to remember, the gate."""
    show.badge(audit.status)
    if audit.reasons:
        for reason in audit.reasons:
            st.markdown(f"- {show.plain(reason.message)}")
    else:
        st.write("No alarm: every id is in range, and no id or unknown token dominates.")
    with st.container(horizontal=True):
        files = f"{audit.files:,} file{'s' if audit.files != 1 else ''}, {audit.format}, {audit.dtype}"
        _metric("Tokens", f"{audit.tokens:,}", files)
        of = f"of {audit.vocab_size:,} entries" if audit.vocab_size else "vocabulary not known"
        _metric("Distinct ids", f"{audit.distinct:,}", of)
        n = f"{numbers.number(audit.entropy_bits)} bits, n = {audit.tokens:,}"
        _metric("Entropy per token", numbers.nats(audit.entropy_nats), n)
        if audit.top:
            text = f" ({show.plain(audit.top[0].text)})" if audit.top[0].text else ""
            share = numbers.percent(audit.top[0].share, 2)
            _metric("Most frequent id", f"{audit.top[0].id}{text}", f"{share} of tokens")
    if gate:
        show.badge(gate.word, of="gate")
        st.write(GATE_SENTENCES[gate.word].format(below=gate.below))


def _metric(label: str, value: str, below: str) -> None:
    st.metric(label, value, delta=below, delta_color="off", delta_arrow="off", border=True)


def window_beside(audit: ShardAudit, name: str) -> None:
    """What a trainer validates on, against the whole shard: a good shard can start with a bad window."""
    st.subheader("What a trainer validates on, beside the whole shard", anchor=False)
    if audit.window is None:
        st.caption("The first file does not hold one sequence of the picked window; see the notes at the end.")
        return
    st.caption(
        f"The window is the first {audit.window.tokens:,} ids in reading order. With so few, the entropy is estimated "
        "too low: it tells broken data from real, and is no baseline."
    )
    if audit.window.status != "ok":
        show.badge(audit.window.status, of="window:")
        for reason in audit.window.reasons:
            st.markdown(f"- {show.plain(reason.message)}")
    frame = tables.side_by_side(side_by_side(audit.window, audit), "window", name)
    show.table(frame, "window-and-shard", column_config=columns.BESIDE, height="content")


def predictors(audit: ShardAudit, pairs: Bigram | None) -> None:
    """The ruler of the data itself: what can be predicted without a model."""
    st.subheader("What can be predicted without a model", anchor=False)
    st.caption("Nats per token. A trained model belongs below the bigram; between 0 and them lies what it has learnt.")
    with st.container(horizontal=True):
        chance = audit.chance_nats
        if chance is not None:
            ln = f"ln {audit.vocab_size:,} = {numbers.number(bits(chance))} bits"
            _metric("Uniform guess (chance)", numbers.nats(chance), ln)
        words = f"{numbers.number(audit.entropy_bits)} bits, n = {audit.tokens:,}"
        _metric("Unigram", numbers.nats(audit.entropy_nats), words)
        if pairs:
            held_out = f"{numbers.number(bits(pairs.nats))} bits, n = {pairs.scored:,}"
            _metric("Held-out bigram", numbers.nats(pairs.nats), held_out)
    if pairs is None:
        st.caption("Too few ids to learn a bigram from.")
    elif pairs.note:
        st.caption(show.plain(pairs.note))


def curves(audits: list[Named]) -> None:
    """Rank-frequency, coverage, document lengths; of several shards on the same axes."""
    st.subheader("How often each id occurs", anchor=False)
    st.caption("Text falls off along a slanted line over thousands of ids. A cliff after a few ids is no language.")
    figure = charts.rank_frequency([(name, *audit.rank_frequency()) for name, audit in audits])
    show.chart(figure, "rank-frequency")
    left, right = st.columns(2)
    with left:
        st.subheader("How few ids make up the text", anchor=False)
        figure = charts.coverage([(name, *audit.coverage()) for name, audit in audits])
        show.chart(figure, "coverage")
    with right:
        st.subheader("How long documents are", anchor=False)
        known = [(name, *audit.lengths.curve()) for name, audit in audits if audit.lengths]
        if known:
            figure = charts.document_lengths(known)
            show.chart(figure, "document-lengths")
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


def files(audit: ShardAudit) -> None:
    """The files of a folder, each judged by itself and held against the others."""
    if not audit.parts and not audit.bad_files:
        return
    st.subheader("File by file", anchor=False)
    st.caption(
        "Divergence: how far a file's ids are from those of all other files (Jensen-Shannon, in bits: 0 equal, 1 "
        "nothing in common), less what sampling explains. Over 0.02 bits and three times the median, it is "
        "named as differing."
    )
    show.table(tables.parts(audit.parts, audit.bad_files), "files", column_config=columns.PARTS)


def most_frequent(audit: ShardAudit, has_checkpoint: bool) -> None:
    """The 30 most frequent ids with their text."""
    st.subheader("The most frequent ids", anchor=False)
    if not any(token.text for token in audit.top):
        st.caption(
            "The checkpoint has no usable tokenizer.json beside it, so the ids have no text."
            if has_checkpoint
            else "Pick a checkpoint with a tokenizer to see the text of each id."
        )
    show.table(tables.top_ids(audit), "most-frequent-ids", column_config=columns.TOP_IDS)


def vocabularies(audit: ShardAudit, text: TokenText | None, rows: int | None) -> None:
    """The three sizes that are taken for one another."""
    st.subheader("Three vocabulary sizes", anchor=False)
    st.caption("An id at or above the embedding's rows has no vector; rows beyond the tokenizer are padding.")
    entries, added = (text.vocab_size, text.vocab_size_with_added) if text else (None, None)
    frame = tables.vocabulary(audit, entries, added, rows)
    show.table(frame, "vocabulary", column_config=columns.VOCABULARY)


def label(entry: Entry, others: list[Entry]) -> str:
    """What a shard is called on charts: its label, or its whole id where that is another's too."""
    return entry.id if any(other.label == entry.label and other.id != entry.id for other in others) else entry.label


def everything(audit: ShardAudit, shard: Entry, gate: GateResult | None) -> None:
    """All numbers with unit and origin, and the same as `shard --json`."""
    st.subheader("Every number", anchor=False)
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
