"""The conclusion of a test with what it rests on; and one hypothesis as a card: the claim, what would refute it, what
the files show, the live test and its verdict."""

from __future__ import annotations

import streamlit as st

from diag import charts
from diag.hypotheses.base import Hypothesis
from diag.report import numbers
from diag.report.compared import reference_sentences
from diag.report.look import said
from diag.results.diagnosis import Conclusion, Diagnosis
from diag.results.finding import STATUS_WORDS, Finding, Signature
from diag.results.positions import by_position
from diag.ui.hypotheses import columns, tables
from diag.ui.shell import preview, run, show, words
from diag.ui.shell.results import Result, Results
from diag.ui.shell.session import Selection

QUESTION = "Which defect explains it?"


def show_card(card: Hypothesis, known: Results, chosen: Selection) -> None:
    """The whole card. With a frozen record nothing is computed and nothing can be started."""
    result = known.findings.get(card.id)
    with st.container(border=True, key=f"card-{card.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(f"{card.id} · {card.title}", anchor=card.id.lower(), width="content")
            if result:
                show.status_badge(result.finding.status)
        st.markdown(card.claim)
        st.caption(f"What would refute it: {card.refuted_by}")
        if chosen.record:
            if result:
                _signature(result.finding.signature)
        else:
            with show.guard("The files cannot be read"):
                _signature(_from_files(card, chosen))
            if card.without_reference and not chosen.reference:
                st.caption(f"No reference is picked. {card.without_reference}")
            if not card.decides_data:
                run.button(chosen, f"Test {card.id} live", "test", (card.id,))
                run.panel(chosen, "test", (card.id,))
        if result:
            _verdict(result, chosen)


def conclusion(diagnosis: Diagnosis) -> None:
    """The answer of a whole test: word, sentence, and what each member of the joint set is worth."""
    found: Conclusion = diagnosis.conclusion
    with st.container(horizontal=True, vertical_alignment="center"):
        show.badge(found.kind)
        for finding in diagnosis.findings:
            show.badge(finding.status, STATUS_WORDS[finding.status], of=finding.id)
    st.subheader(show.plain(found.text), anchor=False)
    loss, measured = diagnosis.loss, diagnosis.baseline.measurement
    with st.container(horizontal=True, gap="medium"):
        for what, number in figures(diagnosis):
            st.metric(what, number, width="content")
    if found.fix:
        st.markdown("**What to change**")
        show.table(tables.fix(diagnosis), "what-to-change", column_config=columns.FIX)
        if lines := [fix.change for fix in found.fix if fix.what == "code"]:
            with show.folded("The same in Python, to copy", "as-code") as is_open:
                if is_open:
                    st.code("\n".join(lines), language="python", wrap_lines=True)
    if diagnosis.joint:
        show.table(tables.joint(diagnosis), "joint-set", column_config=columns.JOINT)
    _compared(diagnosis)
    _positions(diagnosis)
    if found.not_excluded:
        with show.folded(f"What this run does not exclude: {len(found.not_excluded)}", "open") as is_open:
            if is_open:
                show.table(tables.not_excluded(diagnosis), "not-excluded", column_config=columns.NOT_EXCLUDED)
    st.caption(
        f"n = {loss.tokens:,} tokens in {loss.sequences:,} sequences, {diagnosis.forward_passes:,} sequence "
        f"passes in {numbers.seconds(diagnosis.seconds)} on {show.plain(measured.device if measured else 'no device')}."
    )


def figures(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """The losses that the conclusion rests on, with their names and units."""
    loss, joint = diagnosis.loss, diagnosis.joint
    together = [
        ("All repairs together, nats", numbers.number(joint.loss_nats)),
        ("Excess explained", numbers.percent(joint.share)),
    ] if joint else []  # fmt: skip
    return [
        ("As loaded, nats", numbers.plus_minus(loss.nats, loss.stderr_nats)),
        ("Reference, nats", numbers.number(loss.ruler.reference_nats)),
        *together,
        ("Chance, nats", numbers.number(loss.ruler.chance_nats)),
    ]


def _compared(diagnosis: Diagnosis) -> None:
    """What the reference is, and what differs from it; nothing without one."""
    sentences = reference_sentences(diagnosis.reference)
    if sentences:
        st.markdown(f"**Reference:** {show.plain(' '.join(sentences))}")
    if diagnosis.differences:
        with show.folded(f"What differs from the reference: {len(diagnosis.differences)}", "differs") as is_open:
            if is_open:
                show.table(tables.differences(diagnosis), "differences", column_config=columns.DIFFERENCES)


def _positions(diagnosis: Diagnosis) -> None:
    """The loss by position, in the open where it grows; nothing where a record kept none."""
    found = by_position(diagnosis)
    if found:
        with show.folded("Loss by position", "positions", expanded=found.grows) as is_open:
            if is_open:
                show.chart(charts.positions(found), "loss-by-position")
                st.caption(show.plain(found.sentence or "There is nothing to compare with."))


def _repairs(finding: Finding, diagnosis: Diagnosis) -> None:
    """The chart in the open where a repair matters, folded away where none does; the table below it."""
    if finding.status in ("confirmed", "contributing", "present"):
        _chart(finding, diagnosis)
    with show.folded(f"What was tried: repairs {_cost(finding)}", f"tried-{finding.id}") as is_open:
        if not is_open:
            return
        if finding.status not in ("confirmed", "contributing", "present"):
            _chart(finding, diagnosis)
        frame = tables.repairs(finding, diagnosis.loss.sequences)
        show.table(frame, f"repairs-{finding.id}", column_config=columns.REPAIRS)


def _cost(finding: Finding) -> str:
    """How many repairs a finding rests on, and how long it took."""
    full, screened = len(finding.repairs), len(finding.screened)
    return f"{full} on the whole window, {screened} screened on a part of it, {numbers.seconds(finding.seconds)}."


def _chart(finding: Finding, diagnosis: Diagnosis) -> None:
    marks = diagnosis.loss.ruler
    figure = charts.repairs(finding, diagnosis.loss.nats, marks.reference_nats, marks.chance_nats)
    show.chart(figure, f"repairs-{finding.id}")


def _from_files(card: Hypothesis, chosen: Selection) -> Signature | None:
    if not chosen.runnable:
        return None
    if card.decides_data:
        data = preview.preview(chosen).data
        return Signature(data.status != "ok", data.text)
    return preview.signature(card.id, chosen)


def _signature(signature: Signature | None) -> None:
    if signature is None:
        st.markdown("**From the files:** this architecture has no such part.")
        return
    word = "signature present" if signature.present else "no signature"
    st.markdown(f"**From the files: {word}.** {show.plain(signature.detail)}")


def _verdict(result: Result, chosen: Selection) -> None:
    finding, diagnosis = result.finding, result.diagnosis
    reason = show.plain(finding.reason or f"{STATUS_WORDS[finding.status]}.")
    st.markdown(f"**Verdict: {said(finding.status)}.** {reason}", help=STATUS_WORDS[finding.status])
    best = next((r for r in finding.repairs if r.name == finding.best_repair), None)
    if best and best.on_top_delta_nats is not None:
        gains = "gains" if best.on_top_delta_nats >= 0 else "costs"
        nats = numbers.plus_minus(abs(best.on_top_delta_nats), best.on_top_stderr_nats)
        st.markdown(f"On top of the other accepted repairs, *{show.plain(best.name)}* {gains} {nats} nats a token.")
    if finding.would_decide:
        st.markdown(f"**What would decide it:** {show.plain(finding.would_decide)}")
    if finding.repairs or finding.screened:
        _repairs(finding, diagnosis)
    if not chosen.record:
        with show.folded("Link to this result", f"link-{finding.id}") as is_open:
            if not is_open:
                return
            show.permalink(result.record, chosen.settings)
            st.caption(show.plain(words.provenance(result.record)))
