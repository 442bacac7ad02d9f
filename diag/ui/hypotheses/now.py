"""What to do now, below the conclusion: the repaired checkpoint, the defect of a program, the text for upstream."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st

from diag.catalogue import Catalogue, Entry
from diag.errors import InputError
from diag.jobs.kept_results import beside, kept_reproduction
from diag.report import numbers
from diag.report.upstream import upstream
from diag.results.diagnosis import Diagnosis
from diag.results.record import Record
from diag.results.reproduction import Reproduction
from diag.ui.hypotheses import columns
from diag.ui.shell import costs, run, session, show
from diag.ui.shell.session import Selection

WRITE = "Write the repaired checkpoint"
REPRODUCE = "Find the defect that gives the claim"
MOST_RIVALS = 3


def what_to_do(record: Record, diagnosis: Diagnosis, chosen: Selection) -> None:
    """The buttons that go on from this record; with a frozen record nothing is started."""
    if diagnosis.joint and diagnosis.joint.edits:
        _repaired(record, chosen)
    if diagnosis.conclusion.kind == "runtime":
        _runtime(record, chosen)
    _rivals(diagnosis, chosen)
    with show.folded("Text for whoever made this file", "upstream") as is_open:
        if is_open:
            st.code(upstream(record), language="markdown", wrap_lines=True)


def _rivals(diagnosis: Diagnosis, chosen: Selection) -> None:
    """What fits as well as what was accepted, and the window that tells them apart."""
    found = [rival for finding in diagnosis.findings for rival in finding.rivals]
    for rival in found[:MOST_RIVALS]:
        st.markdown(f"- {show.plain(rival.sentence)}")
    needed = [rival.sequences for rival in found if rival.sequences is not None]
    if not needed or chosen.case is None:
        return
    window = chosen.case.window
    with suppress(InputError):  # larger than a window may be
        larger = replace(window, batches=-(-min(needed) // window.batch_size))
        link = session.link_of(replace(chosen.case, window=larger), None)
        show.link("hypotheses", f"Test on {larger} to tell them apart", link, icon=":material/call_split:")


def _repaired(record: Record, chosen: Selection) -> None:
    """The button, or links to the checkpoint that was written."""
    if chosen.record or not chosen.checkpoint or not chosen.case:
        return
    written = _written(beside(chosen.checkpoint.path, record.id), chosen)
    if written is None:
        help = "Beside the original, never over it; measured from disk, with a patch that does it again."
        run.button(chosen, WRITE, "repair", (record.id,), help=help)
    run.panel(chosen, "repair", (record.id,))
    if written:
        _links(written, chosen)


def _written(place: Path, chosen: Selection) -> Entry | None:
    """The repaired checkpoint in the catalogue, which is read again where it is older than the folder."""
    found = chosen.catalogue
    if not place.exists():
        return None
    if not (entry := _at(place, found)):
        session.catalogue.clear()
        entry = _at(place, session.catalogue(chosen.settings))
    return entry


def _at(place: Path, found: Catalogue) -> Entry | None:
    return next((e for e in found.of("checkpoint") if place in (e.path, e.path.parent)), None)


def _links(written: Entry, chosen: Selection) -> None:
    assert chosen.case is not None
    st.markdown(f"**The repaired checkpoint is written:** {show.plain(written.id)}")
    loss = replace(chosen.case, checkpoint=written.id, claim=None, expected_loss=None)
    compared = replace(loss, reference=chosen.case.checkpoint)
    with st.container(horizontal=True):
        show.link("case", "Its loss on the ruler", session.link_of(loss, None), icon=":material/straighten:")
        show.link("weights", "Compare it with the original", session.link_of(compared, None), icon=":material/compare:")


def _runtime(record: Record, chosen: Selection) -> None:
    """The button, and what was found under this record."""
    found = kept_reproduction(chosen.settings, record.id)
    if not chosen.record:
        run.button(
            chosen,
            "Look again" if found else REPRODUCE,
            "reproduce",
            (record.id,),
            main=found is None,
            help="Injects defects of programs into this checkpoint, alone and in pairs.",
        )
        costs.caption(chosen, "reproduce")
        run.panel(chosen, "reproduce", (record.id,))
    if found:
        _reproduced(found)


def _reproduced(found: Reproduction) -> None:
    st.markdown(f"**{show.plain(found.sentence)}**")
    rows = [
        {
            "defects": " + ".join(each.defects),
            "loss": each.loss_nats,
            "stderr": each.stderr_nats,
            "distance": each.distance_nats,
            "matches": "to its last digit" if each.to_the_digit else "yes" if each.matches else "no",
        }
        for each in found.candidates
    ]
    show.table(pd.DataFrame(rows), "reproduced", column_config=columns.REPRODUCED)
    matching = [i for i, each in enumerate(found.candidates) if each.matches]
    for each in found.separations[:3]:
        values = "; ".join(
            f"{' + '.join(found.candidates[i].defects)}: {numbers.figure(each.values[i], 4)}" for i in matching[:3]
        )
        st.markdown(f"- To tell them apart, {show.plain(each.measurement)}: {show.plain(values)}")
