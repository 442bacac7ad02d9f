"""How a loss is shown: the verdict first, then the numbers, the ruler, the two checks, and where it all comes from."""

from __future__ import annotations

import streamlit as st

from diag.case import Case
from diag.evidence.records import Record
from diag.results.findings import Check, Measurement, Reading
from diag.ui import charts
from diag.ui.case.preview import Preview
from diag.ui.shell import results, session, show, words
from diag.ui.shell.results import Results
from diag.ui.shell.session import Selection
from diag.units import Claim, Ruler, bits, claim_in_other_unit, gate_word, perplexity

_BIGRAM = "What the token before predicts: a bigram model learnt from the rest of the shard."


def verdict(reading: Reading, case: Case, record: Record, chosen: Selection) -> None:
    """A measured loss: the sentence, the numbers beside each other, the ruler, and what a reader must know."""
    measured = reading.measurement
    loss = measured.loss_nats if measured else None
    mark = words.MARKS.get(reading.zone or "invalid", words.UNSURE)[0]
    st.subheader(f"{mark} {show.plain(words.headline(loss, reading.zone, reading.chance_nats))}", anchor=False)
    st.markdown(words.ZONE_SENTENCES[reading.zone] if reading.zone else show.plain(reading.data.text))
    changed = results.newer_files(chosen, record)
    show.warnings((changed,) if changed else ())
    if reading.missing:
        names = ", ".join(reading.missing[:5]) + (" …" if len(reading.missing) > 5 else "")
        st.error(
            f"**{len(reading.missing)} tensors are missing from the file** and were initialised at random (seed 0), "
            f"so this loss is not the checkpoint's: {show.plain(names)}",
            icon=":material/error:",
        )
    if measured:
        _numbers(measured, reading)
        _ruler(loss, measured.stderr_nats, ruler_of(reading), case)
        _unit(case.claim, measured.loss_nats)
    _gate(case, loss, reading)


def preview(seen: Preview) -> None:
    """What a loss will be held against, before there is one."""
    if seen.ruler is None:
        st.subheader("No loss can be computed: the window holds ids that this checkpoint has no row for.", anchor=False)
        return
    st.subheader("Not measured yet.", anchor=False)
    nothing, counts, pairs = seen.chance_nats, seen.ruler.unigram_nats, seen.ruler.bigram_nats
    knows_pairs = "" if pairs is None else f", and one that knows the bigram {words.nats(pairs)}"
    st.markdown(
        f"A model that knows nothing scores {words.nats(nothing)} a token on this case{',' if pairs else ', and'} one "
        f"that knows only the unigram {words.nats(counts)}{knows_pairs} (n = {seen.tokens:,} tokens)."
    )


def ruler(seen: Preview, case: Case) -> None:
    """The ruler before anything is measured: the marks, the claim and the gate."""
    if seen.ruler:
        if case.claim:
            st.markdown(show.plain(words.claim_text(case.claim, seen.ruler)))
        _ruler(None, None, seen.ruler, case)


def concluded(known: Results, chosen: Selection) -> None:
    """What a test of this case concluded, if there was one, and the way to its findings."""
    diagnosis = known.full.diagnosis() if known.full else None
    if diagnosis is None or chosen.case is None:
        return
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Tested**")
            show.badge(diagnosis.conclusion.kind)
        st.markdown(show.plain(diagnosis.conclusion.text))
        show.link("hypotheses", "See the findings", session.link_of(chosen.case, chosen.record))


def checks(data: Check, tie: Check) -> None:
    """The two things that are known without a forward pass, side by side."""
    left, right = st.columns(2)
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


def origin(reading: Reading, record: Record, chosen: Selection) -> None:
    """Where and when, on what, with which remarks; and the permanent link."""
    st.subheader("Permanent link", anchor=False)
    show.permalink(record, chosen.settings)
    st.caption(show.plain(words.provenance(record)))
    if reading.measurement:
        st.caption(show.plain(words.measured_on(reading.measurement)))
    show.notes(reading.notes)


def ruler_of(reading: Reading) -> Ruler:
    """The marks of a reading; with no readable window the unigram is unknown and stands at chance."""
    unigram = reading.chance_nats if reading.unigram_nats is None else reading.unigram_nats
    reference = reading.reference.loss_nats if reading.reference else None
    return Ruler(reading.chance_nats, unigram, reference, reading.bigram_nats)


def _numbers(measured: Measurement, reading: Reading) -> None:
    loss = measured.loss_nats
    reference = reading.reference.loss_nats if reading.reference else None
    with st.container(horizontal=True, gap="medium"):
        for label, value, help in (
            (
                "Loss, nats a token",
                words.plus_minus(loss, measured.stderr_nats),
                "± one standard error over sequences",
            ),
            ("in bits a token", words.number(bits(loss)), "nats ÷ 0.693"),
            ("Perplexity", words.short(perplexity(loss)), "exp(loss in nats); chance is the number of rows."),
            ("Reference, nats", words.number(reference), "The reference on the same window; – without one."),
            ("Chance, nats", words.number(reading.chance_nats), "ln(embedding rows)"),
            ("Unigram, nats", words.number(reading.unigram_nats), "What a model without context scores here."),
            ("Bigram, nats", words.number(reading.bigram_nats), _BIGRAM),
            ("Skill", words.skill_text(loss, reading.unigram_nats), "1 − loss ÷ unigram; negative is worse."),
        ):
            st.metric(label, value, help=help, width="content")
    st.caption(
        f"n = {reading.tokens:,} tokens in {reading.sequences:,} sequences, on {show.plain(measured.device)} in "
        f"{show.plain(measured.dtype)}."
    )


def _ruler(loss: float | None, stderr: float | None, marks: Ruler, case: Case) -> None:
    figure = charts.ruler(loss, marks, claim=case.claim, gate_below=case.gate_below, stderr_nats=stderr)
    st.plotly_chart(figure, width="stretch", key="ruler", config={"displayModeBar": False})


def _unit(claim: Claim | None, loss: float) -> None:
    sentence = claim_in_other_unit(claim, loss) if claim else None
    if sentence:
        st.warning(show.plain(sentence), icon=":material/straighten:")


def _gate(case: Case, loss: float | None, reading: Reading) -> None:
    if case.gate_below is None:
        return
    word = gate_word(case.gate_below, loss, reading.null_models_nats)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Gate: loss below {words.nats(case.gate_below)}**")
        show.badge(word)
        st.markdown(words.GATE_REASONS.get(word, ""))
