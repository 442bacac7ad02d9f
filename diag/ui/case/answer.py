"""The first screen of a case: verdict, loss on the ruler, the proof, what to do, what stays open, and the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from diag.case import Case
from diag.evidence import decisions
from diag.evidence.records import Record
from diag.report.brief import brief
from diag.report.look import look
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Diagnosis
from diag.results.finding import STATUS_WORDS, Finding
from diag.results.ruler import Ruler
from diag.ui.case import words
from diag.ui.shell import files, session, show
from diag.ui.shell.session import Selection

MAX_HISTORY, MAX_REFERENCES = 20, 2
_REFERENCE_DECIDES = ("suspect", "unexplained", "partly_explained")
_FIRST = ("confirmed", "contributing", "error", "inconclusive", "present")


def title(record: Record) -> None:
    """The verdict and the case's name, in the colour of its severity."""
    found = brief(record)
    of = look(found.word)
    st.title(f":{of.ink.page}[{of.mark} {show.plain(found.verdict)}]: {show.plain(found.name)}", anchor=False)


def first_screen(record: Record, case: Case, chosen: Selection) -> None:
    """Everything that the question needs."""
    text, where = words.sentences(record)
    st.markdown(show.plain(text))
    st.caption(show.plain(where))
    ruler(record.loss.ruler, record.loss.nats, words.repaired(brief(record)), case)
    left, right = st.columns((5, 4), gap="medium")
    with left:
        _todo(record, chosen)
    with right:
        _open(record.diagnosis)
        show.small_heading("Permanent link")
        show.permalink(record, chosen.settings, report=True)


def ruler(marks: Ruler, loss: float | None, repaired: float | None, case: Case) -> None:
    """The ruler as text and boxes: it is there with the page, and needs no library of charts."""
    st.html(words.boxes(marks, loss, repaired, case))
    if marks.border_note:
        st.caption(show.plain(marks.border_note))


def _todo(record: Record, chosen: Selection) -> None:
    show.small_heading("What to do")
    st.markdown("\n".join(f"- {show.plain(line)}" for line in words.steps(record)))
    if told := words.proof(record):
        st.markdown(told)
    there = session.link_of(chosen.case, chosen.record) if chosen.case else None
    if record.diagnosis and record.diagnosis.conclusion.fix:
        show.link("hypotheses", "Write the repaired checkpoint", there, icon=":material/build:")
    if record.diagnosis and record.diagnosis.conclusion.kind == "runtime":
        show.link("hypotheses", "Find the defect that gives the claim", there, icon=":material/science:")
    if record.diagnosis and record.diagnosis.conclusion.kind in _REFERENCE_DECIDES:
        _references(chosen)


def _references(chosen: Selection) -> None:
    """The case beside each checkpoint here that fits, a click away."""
    case = chosen.case
    if case is None or case.reference or chosen.checkpoint is None:
        return
    known = files.KnownFiles.of(chosen.settings, chosen.catalogue)
    named = known.references(chosen.checkpoint, chosen.catalogue)
    fitting = {
        known.content(entry): entry for entry, why_not in reversed(named) if not why_not
    }  # the first of a content
    for entry in [*reversed(fitting.values())][:MAX_REFERENCES]:
        query = replace(case, reference=entry.id).to_query()
        show.link("case", f"Test it beside {entry.label} ({entry.group}), which fits", query, icon=":material/compare:")


def _open(diagnosis: Diagnosis | None) -> None:
    """What could still be wrong, and how much of the loss it could hide."""
    if diagnosis is None:
        return
    show.small_heading("What could not be excluded")
    left = diagnosis.conclusion.not_excluded
    if not left:
        st.markdown(words.NOTHING_OPEN)
        return
    st.markdown("\n".join(f"- {show.plain(line)}" for line in words.open_lines(left)))
    st.caption("The reasons are below, with each hypothesis.")


def each_hypothesis(diagnosis: Diagnosis | None, chosen: Selection) -> None:
    """Confirmed first; what was refuted is one line each."""
    if diagnosis is None:
        return
    with st.expander(f"Each hypothesis ({len(diagnosis.findings)})"):
        for finding in sorted(diagnosis.findings, key=_weight):
            mark = look(finding.status).mark
            said = finding.reason or f"{STATUS_WORDS[finding.status]}."
            st.markdown(f"{mark} **{show.plain(finding.id)} {finding.status.replace('_', ' ')}** {show.plain(said)}")
        for one in diagnosis.conclusion.not_excluded:
            st.caption(f"{show.plain(one.id)} is not excluded: {show.plain(one.why)}")
        if chosen.case:
            show.link("hypotheses", "All findings", session.link_of(chosen.case, chosen.record))


def _weight(finding: Finding) -> int:
    return _FIRST.index(finding.status) if finding.status in _FIRST else len(_FIRST)


def history(case_id: str, records: Sequence[Record], chosen: Selection) -> None:
    """Decisions and records of the case, newest first."""
    made = [d for d in decisions.read(chosen.settings.evidence_dir)[0] if d.case == case_id]
    lines = [(d.at, f"{d.words}{_note(d)}") for d in made]
    lines += [(r.created, f"[{show.plain(brief(r).verdict)}](r/{r.id})") for r in records]
    with st.expander(f"Decisions and history ({len(lines)})"):
        if made:
            last = made[-1]
            st.markdown(f"**{show.plain(last.words)}** {show.plain(_note(last))}")
        for at, line in sorted(lines, reverse=True)[:MAX_HISTORY]:
            st.markdown(f"{at[:16].replace('T', ' ')} UTC: {line if '](r/' in line else show.plain(line)}")
        if "triage" in st.session_state["pages"]:
            show.link("triage", "Decide on the wall", icon=":material/explore:")


def _note(decision: decisions.Decision) -> str:
    parts = (decision.note, decision.owner and f"owner: {decision.owner}", decision.by and f"signed: {decision.by}")
    told = "; ".join(part for part in parts if part)
    return f" ({told})" if told else ""


def missing(found: BaselineResult) -> None:
    """What was not in the file: then the loss is not the checkpoint's."""
    if found.missing:
        n, names = len(found.missing), ", ".join(found.missing[:5]) + (" …" if len(found.missing) > 5 else "")
        st.error(
            f"**{n} {'tensor is' if n == 1 else 'tensors are'} missing from the file** and "
            f"{'was' if n == 1 else 'were'} initialised at random (seed 0), so this loss is not the checkpoint's: "
            f"{show.plain(names)}",
            icon=":material/error:",
        )
