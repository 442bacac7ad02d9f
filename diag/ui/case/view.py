"""What stands below the answer: numbers, checks, provenance; and what is known before anything has run."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from diag import charts
from diag.case import Case
from diag.evidence.records import Record
from diag.report import numbers
from diag.report.look import look, said, tie_said
from diag.report.of_record import unknown_keys
from diag.results.baseline import BaselineResult, Check, Measurement
from diag.results.ruler import GateResult, Loss, Ruler, claim_in_other_unit, judge_gate
from diag.share.ruler import layout
from diag.ui.case import answer, words
from diag.ui.shell import show
from diag.ui.shell.preview import Preview
from diag.ui.shell.words import measured_on, provenance
from diag.units import Claim, bits

_BIGRAM = "What the token before predicts: a bigram model learnt from the rest of the shard."


def promises(record: Record, case: Case) -> None:
    """What was said of this loss: a claim in another unit, and the gate."""
    found = record.baseline
    if found.measurement:
        _unit(case.claim, found.measurement.loss_nats)
    _gate(judge_gate(case.gate_below, found.loss.nats, found.null_models_nats))


def numbers_and_chart(record: Record, case: Case) -> None:
    """Every number in every unit, and the ruler as a chart that answers to the pointer."""
    found = record.baseline
    if found.measurement is None:
        return
    with show.folded("All numbers, and the charts of ruler and repairs", "numbers") as is_open:
        if not is_open:
            return
        _numbers(found.loss, found.measurement)
        _ruler(found.loss.nats, found.loss.stderr_nats, found.loss.ruler, case)
        joint = record.diagnosis.joint if record.diagnosis else None
        steps = charts.waterfall(found.loss.nats, joint, found.loss.ruler) if joint and found.loss.nats else None
        if joint and steps:
            st.markdown(f"**The repairs take the loss to {numbers.nats(joint.loss_nats)}**")
            show.chart(steps, "waterfall", says="What each accepted repair is worth, from loaded to repaired")


def preview(seen: Preview) -> None:
    """What a loss will be held against, before there is one."""
    if seen.ruler is None:
        st.subheader("No loss can be computed: the window holds ids that this checkpoint has no row for.", anchor=False)
        return
    st.subheader("Not measured yet.", anchor=False)
    nothing, counts, pairs = seen.chance_nats, seen.ruler.unigram_nats, seen.ruler.bigram_nats
    scores = f"A model that knows nothing scores {numbers.nats(nothing)} a token on this case"
    unigram = f"one that knows only the unigram {numbers.nats(counts)}"
    known = f", {unigram}, and one that knows the bigram {numbers.nats(pairs)}" if pairs else f", and {unigram}"
    st.markdown(f"{scores}{known} (n = {seen.tokens:,} tokens).")


def ruler(seen: Preview, case: Case) -> None:
    """The ruler before anything is measured: the marks, the claim and the gate."""
    if seen.ruler:
        if case.claim:
            st.markdown(show.plain(words.claim_text(case.claim, seen.ruler)))
        answer.ruler(seen.ruler, None, None, case)


def checks(data: Check, tie: Check) -> None:
    """The two things that are known without a forward pass, side by side."""
    both = st.expander(f"Data: {said(data.status)}; output head and embedding: {tie_said(tie.status)}")
    left, right = both.columns(2)
    for column, title, check, page, question in (
        (left, "Data", data, "shard", "Is the data real?"),
        (right, "Output head and embedding", tie, "weights", "What does the file hold?"),
    ):
        with column.container(border=True, height="stretch"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{title}**")
                show.badge(check.status)
            st.markdown(show.plain(check.text))
            if page in st.session_state["pages"]:
                show.link(page, question)


def origin(found: BaselineResult, record: Record) -> None:
    """Where and when, on what, with which remarks."""
    with st.expander("Provenance"):
        st.markdown(show.plain(provenance(record)))
        if found.measurement:
            st.markdown(show.plain(measured_on(found.measurement)))
        show.notes(record.notes)
    if record.unknown:
        with st.expander(f"Keys that this version does not know ({len(record.unknown):,})"):
            table = unknown_keys(record.unknown)
            show.table(pd.DataFrame(table.rows, columns=list(table.head)), "unknown-keys", height="content")


def _numbers(loss: Loss, measured: Measurement) -> None:
    number, marks = numbers.number, loss.ruler
    error = "± one standard error over sequences"
    with st.container(horizontal=True, gap="medium"):
        for label, value, help in (
            ("Loss, nats a token", numbers.plus_minus(loss.nats, loss.stderr_nats), error),
            ("in bits a token", number(bits(measured.loss_nats)), "nats ÷ 0.693"),
            ("Perplexity", numbers.perplexity(measured.loss_nats), "exp(loss in nats); chance is the number of rows."),
            ("Reference, nats", number(marks.reference_nats), "The reference on the same window; – without one."),
            ("Chance, nats", number(marks.chance_nats), "ln(embedding rows)"),
            ("Unigram, nats", number(marks.unigram_nats), "What a model without context scores here."),
            ("Bigram, nats", number(marks.bigram_nats), _BIGRAM),
            ("Skill", numbers.skill(loss.skill), "1 − loss ÷ unigram; negative is worse."),
        ):
            st.metric(label, value, help=help, width="content")
    st.caption(
        f"n = {loss.tokens:,} tokens in {loss.sequences:,} sequences, on {show.plain(measured.device)} in "
        f"{show.plain(measured.dtype)}."
    )


def _ruler(loss: float | None, stderr: float | None, marks: Ruler, case: Case) -> None:
    figure = charts.ruler(loss, marks, claim=case.claim, gate_below=case.gate_below, stderr_nats=stderr)
    says = layout(marks, loss, claim=case.claim, gate_below=case.gate_below).says
    show.chart(figure, "ruler", says=says)
    if marks.border_note:
        st.caption(show.plain(marks.border_note))


def _unit(claim: Claim | None, loss: float) -> None:
    sentence = claim_in_other_unit(claim, loss) if claim else None
    if sentence:
        st.warning(show.plain(sentence), icon=":material/straighten:")


def _gate(gate: GateResult | None) -> None:
    if gate is None:
        return
    of = look(gate.word)
    word = f":{of.ink.page}-badge[{of.mark} {gate.word}]"
    st.markdown(f"**Gate: loss below {numbers.nats(gate.below)}** {word} {words.GATE_REASONS.get(gate.word, '')}")
