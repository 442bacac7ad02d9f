"""What the shard page shows at a glance: verdict, figures, the entropy bar, rank against frequency."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from diag import charts
from diag.catalogue import Entry
from diag.charts.style import BLUE, GREY, TEAL
from diag.report import numbers
from diag.results.ruler import GateResult, Loss
from diag.shards import ShardAudit
from diag.shards.figures.healthy_band import FACTOR, healthy_band
from diag.shards.text import visible
from diag.ui.shell import show

Named = tuple[str, ShardAudit]
"""A shard's label and its audit."""

GATE_SENTENCES = {
    "VOID": "The gate 'loss below {below:g} nats' is passed by the unigram alone, or by always guessing the most "
    "frequent id: it measures the data, not the model.",
    "UNKNOWN": "The unigram alone does not pass the gate 'loss below {below:g} nats'. Whether the model does is a "
    "matter of its loss: see the case page.",
}
_ROUND_TRIP = "Of sampled ids: they are decoded, encoded again and compared. Text of this tokenizer comes back."
_TWICE = "Of sampled windows of 32 ids, those whose text has stood before; ± one standard error."


def verdict(top: DeltaGenerator, audit: ShardAudit, gate: GateResult | None) -> None:
    """The status word, its reasons, the figures to remember, the gate; in place of what `top` held."""
    with top.container():
        with st.container(horizontal=True, vertical_alignment="center"):
            show.badge(audit.status)
            if gate:
                show.badge(gate.word, of="gate")
        reasons = [f"- {show.plain(reason.message)}" for reason in audit.reasons]
        st.markdown("\n".join(reasons) or _sound(audit))
        if gate:
            st.write(GATE_SENTENCES[gate.word].format(below=gate.below))
        _figures(audit)


def _sound(audit: ShardAudit) -> str:
    """What was looked at, where nothing was found: no more than that."""
    seen = ["every id is in range" if audit.vocab_size else "no id is implausible", "no id dominates"]
    if audit.round_trip.verdict == "text":
        seen.append("sampled ids come back as text of this tokenizer")
    if audit.bigram and audit.bigram.order_lost is False:
        seen.append("their order predicts")
    if audit.duplicates:
        seen.append("little stands twice")
    return f"No alarm: {', '.join(seen[:-1])}, and {seen[-1]}."


def _figures(audit: ShardAudit) -> None:
    trip, twice, ends = audit.round_trip, audit.duplicates, audit.documents
    top = audit.top[0] if audit.top else None
    # Two rows of three: six in one have no room beside the sidebar of a small screen, and would leave one alone.
    with st.container(horizontal=True, gap="small"):
        _metric("Tokens", f"{audit.tokens:,}", f"{audit.distinct:,} distinct ids")
        in_bits = f"{numbers.number(audit.entropy_bits)} bits"
        _metric("Entropy per token", numbers.nats(audit.entropy_nats), in_bits)
        if top:
            text = f" {show.plain(visible(top.text) or '')}" if top.text else ""
            _metric("Most frequent id", f"{top.id}{text}", f"{numbers.percent(top.share, 2)} of tokens")
    with st.container(horizontal=True, gap="small"):
        judged = trip.verdict != "not_judged"
        share = numbers.percent(trip.share, 2) if judged else "not judged"
        said = f"of {trip.ids:,} ids" if judged else "see below"
        _metric("Round trip", share, said, _ROUND_TRIP)
        if twice:
            value = f"{100 * twice.share:.1f} ± {100 * twice.error:.1f} %"
            _metric("Stands twice", value, f"of {twice.windows:,} windows", _TWICE)
        else:
            _metric("Stands twice", "not judged", "too few windows", _TWICE)
        median = f"median {ends.median:,} tokens" if ends else "ends not known"
        _metric("Documents", numbers.count(ends.documents if ends else None), median)
    stored = f"{audit.files:,} file{'s' if audit.files != 1 else ''}, {audit.format}, ids stored as {audit.dtype}."
    why = f" Round trip not judged: {trip.why}" if trip.why else ""
    st.caption(show.plain(f"{stored}{why}"))


def _metric(label: str, value: str, below: str, help: str | None = None) -> None:
    st.metric(label, value, delta=below, delta_color="off", delta_arrow="off", border=True, help=help)


def entropy(audit: ShardAudit, loss: Loss | None) -> None:
    """A bar from 0 to a uniform guess, with the unigram, the held-out bigram and the model on it."""
    st.subheader("How much there is to predict", anchor=False)
    pairs, chance = audit.bigram, audit.chance_nats
    full = chance if chance is not None else math.log(max(2, audit.distinct))
    uniform = f"over {audit.vocab_size:,} entries" if chance is not None else f"over the {audit.distinct:,} ids met"
    measured = loss.nats if loss else None
    marks = charts.entropy_marks(
        [
            ("uniform guess", full, GREY, "triangle-up", uniform),
            ("unigram entropy", audit.entropy_nats, BLUE, "square", f"n = {audit.tokens:,} tokens"),
            ("held-out bigram", pairs.nats if pairs else None, GREY, "square-open",
             f"n = {pairs.scored:,} tokens" if pairs else ""),
            ("this model", measured, TEAL, "diamond", f"n = {loss.tokens:,} tokens of its window" if loss else ""),
        ]
    )  # fmt: skip
    show.chart(charts.entropy_bar(full, audit.entropy_nats, marks), "entropy")
    said = [f"Filled: what the ids carry. Its end, log2 V, is a uniform guess {uniform}."]
    if pairs is None:
        said.append("Too few ids to learn a bigram from.")
    elif pairs.note:
        said.append(pairs.note)
    if loss and measured is not None:
        said.append(f"This model: {numbers.nats(measured)} on its window of {loss.tokens:,} tokens, from its record.")
    else:
        said.append("This model's loss is not here: none is recorded for this shard and window.")
    st.caption(show.plain(" ".join(said)))


def ranks(audits: Sequence[Named], entries: int) -> None:
    """Rank against frequency, on the band in which text lies."""
    st.subheader("How often each id occurs", anchor=False)
    named = []
    for name, audit in audits:
        rank, count = audit.rank_frequency()
        named.append((name, rank, count / audit.tokens))
    show.chart(charts.rank_frequency(named, healthy_band(entries)), "rank-frequency")
    st.caption(
        f"Grey: Zipf's law as Mandelbrot put it, share ∝ 1 / (rank + 2.7) over {entries:,} entries (Piantadosi 2014), "
        f"within a factor of {FACTOR:g}. The demo's source code and ten other texts (code, prose, Chinese; four kinds "
        "of tokenizer) lie in it from rank 3 to 500; the tail may fall below. A cliff after a few ids is no text."
    )


def label(entry: Entry, others: list[Entry]) -> str:
    """What a shard is called on charts: its label, or its whole id where that is another's too."""
    return entry.id if any(other.label == entry.label and other.id != entry.id for other in others) else entry.label
