"""One hypothesis as a card: the claim, what would refute it, what the files show, the live test and its verdict."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from diag.hypotheses.base import Hypothesis
from diag.results.diagnosis import Conclusion, Diagnosis
from diag.results.finding import STATUS_WORDS, Finding, Signature
from diag.ui import charts
from diag.ui.case import preview
from diag.ui.shell import run, show, words
from diag.ui.shell.results import Result, Results
from diag.ui.shell.session import Selection

COLUMNS = {
    "repair": st.column_config.TextColumn("Repair", width="medium", pinned=True),
    "loss": st.column_config.NumberColumn("Loss (nats)", format="%.4f"),
    "delta": st.column_config.NumberColumn("Δ (nats)", format="%+.4f", help="Loss as loaded − loss with the repair."),
    "stderr": st.column_config.NumberColumn("± SE (nats)", format="%.4f", help="Paired per sequence."),
    "share": st.column_config.NumberColumn("Share of excess (%)", format="%.1f"),
    "sequences": st.column_config.NumberColumn("n (sequences)"),
    "on_top": st.column_config.NumberColumn("Δ on top (nats)", format="%+.4f", help="On top of accepted repairs."),
    "what": st.column_config.TextColumn("Kind", help="A localiser says where the fault is, and never confirms."),
    "description": st.column_config.TextColumn("What it does", width="large"),
}


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
        st.metric("As loaded, nats", words.plus_minus(loss.nats, loss.stderr_nats), width="content")
        st.metric("Reference, nats", words.number(loss.ruler.reference_nats), width="content")
        if diagnosis.joint:
            joint = diagnosis.joint
            st.metric("All repairs together, nats", words.number(joint.loss_nats), width="content")
            st.metric("Excess explained", words.percent(joint.share), width="content")
        st.metric("Chance, nats", words.number(loss.ruler.chance_nats), width="content")
    if diagnosis.joint:
        show.table(joint_frame(diagnosis), "joint-set", column_config=JOINT_COLUMNS)
    st.caption(
        f"n = {loss.tokens:,} tokens in {loss.sequences:,} sequences, {diagnosis.forward_passes:,} sequence "
        f"passes in {words.seconds(diagnosis.seconds)} on {show.plain(measured.device if measured else 'no device')}."
    )


JOINT_COLUMNS = {
    "id": st.column_config.TextColumn("Hypothesis"),
    "repair": st.column_config.TextColumn("Repair that is part of the smallest set", width="large"),
    "worth": st.column_config.NumberColumn("Worth (nats)", format="%.4f", help="What the loss gains by this repair."),
}


def joint_frame(diagnosis: Diagnosis) -> pd.DataFrame:
    """The joint set, one row per member."""
    joint = diagnosis.joint
    members = joint.repairs if joint else ()
    worth = joint.attribution if joint else {}
    return pd.DataFrame([{"id": m.id, "repair": m.name, "worth": worth.get(m.id)} for m in members])


def repairs_frame(finding: Finding, sequences: int) -> pd.DataFrame:
    """Every repair of a finding: those on the whole window first, then the ones screened on a part of it."""
    full = [
        {
            "repair": r.name,
            "loss": r.loss_nats,
            "delta": r.delta_nats,
            "stderr": r.stderr_nats,
            "share": None if r.share is None else 100 * r.share,
            "sequences": sequences,
            "on_top": r.on_top_delta_nats,
            "what": "localiser" if r.localiser else "repair",
            "description": r.description,
        }
        for r in finding.repairs
    ]
    screened = [
        {
            "repair": s.name,
            "loss": s.loss_nats,
            "delta": s.delta_nats,
            "sequences": s.sequences,
            "what": ("localiser" if s.localiser else "repair") + ", screened",
            "description": "Not promising on a part of the window; no verdict rests on it.",
        }
        for s in finding.screened
    ]
    return pd.DataFrame([*full, *screened], columns=list(COLUMNS))


def _repairs(finding: Finding, diagnosis: Diagnosis) -> None:
    """The chart in the open where a repair matters, folded away where none does; the table below it."""
    if finding.status in ("confirmed", "contributing", "present"):
        _chart(finding, diagnosis)
    with st.expander(f"What was tried: repairs {words.cost_of(finding)}"):
        if finding.status not in ("confirmed", "contributing", "present"):
            _chart(finding, diagnosis)
        frame = repairs_frame(finding, diagnosis.loss.sequences)
        show.table(frame, f"repairs-{finding.id}", column_config=COLUMNS)


def _chart(finding: Finding, diagnosis: Diagnosis) -> None:
    marks = diagnosis.loss.ruler
    st.plotly_chart(
        charts.repairs(finding, diagnosis.loss.nats, marks.reference_nats, marks.chance_nats),
        width="stretch",
        key=f"repairs-{finding.id}",
        config={"displayModeBar": False},
    )


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
    st.markdown(f"**Verdict: {finding.status.replace('_', ' ')}.** {reason}", help=STATUS_WORDS[finding.status])
    best = next((r for r in finding.repairs if r.name == finding.best_repair), None)
    if best and best.on_top_delta_nats is not None:
        gained = words.plus_minus(best.on_top_delta_nats, best.on_top_stderr_nats)
        st.markdown(f"On top of the other accepted repairs, *{show.plain(best.name)}* gains {gained} nats a token.")
    if finding.would_decide:
        st.markdown(f"**What would decide it:** {show.plain(finding.would_decide)}")
    if finding.repairs or finding.screened:
        _repairs(finding, diagnosis)
    if not chosen.record:
        with st.expander("Link to this result"):
            show.permalink(result.record, chosen.settings)
            st.caption(show.plain(words.provenance(result.record)))
