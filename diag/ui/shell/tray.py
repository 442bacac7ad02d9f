"""The jobs of this server, on every page: what runs, whose, how far, what waits; and what of mine is finished.

A fragment of its own that looks every second. When a job of the case that the page shows is finished, in whatever tab
or by whomever it was asked for, the page runs once more and shows its record.
"""

from __future__ import annotations

import time

import streamlit as st

from diag.case import Case
from diag.jobs.job import Job
from diag.report import numbers
from diag.ui.shell import run, show, who
from diag.ui.shell.server import job_queue
from diag.ui.shell.session import Selection

LOOK_SECONDS = 1.0
SHOWN = 3  # rows; the rest is folded
FOLDED = 20  # rows of that; a table of a thousand would be drawn every second
KEPT_SECONDS = 15 * 60.0  # for which a finished job of one's own stays in the tray
PAGE_OF = {
    "measure": "case",
    "test": "hypotheses",
    "repair": "hypotheses",
    "reproduce": "hypotheses",
}  # where a job of a kind is opened


@st.fragment(run_every=LOOK_SECONDS)
def draw(chosen: Selection | None, page: str) -> None:
    """The rows, below whatever container is open. page: the name of the page that is shown."""
    jobs = job_queue().all_jobs()
    case = chosen.case if chosen and not chosen.record else None
    seen = _news(jobs, case)
    if st.session_state.setdefault("tray-news", seen) != seen:
        st.session_state["tray-news"] = seen
        if not st.session_state.pop("tray-fresh", False):
            st.rerun()
    st.session_state["tray-fresh"] = False
    rows = _rows(jobs, case, page, run.shown_on(page, chosen))
    batches: dict[str, list[Job]] = {}
    for job in rows:
        if job.batch and job.state == "queued":
            batches.setdefault(job.batch, []).append(job)
    rows = [job for job in rows if not (job.batch and job.state == "queued")]
    if not rows and not batches:
        return
    with st.container(border=True, key="tray", gap="small"):
        for job in rows[:SHOWN]:
            _row(job)
        for waiting in batches.values():
            _batch(waiting)
        if len(rows) > SHOWN:
            with st.popover(f"{len(rows) - SHOWN} more jobs", icon=":material/list:"):
                for job in rows[SHOWN : SHOWN + FOLDED]:
                    _row(job)


def fresh() -> None:
    """The page is about to run: what it reads is the newest."""
    st.session_state["tray-fresh"] = True


def title(job: Job) -> str:
    """What a job does, to what."""
    ids = ", ".join(job.request.ids)
    what = {
        "measure": "Loss",
        "test": f"Test of {ids or 'all hypotheses'}",
        "repair": "Repaired checkpoint",
        "reproduce": "Defects injected",
    }[job.request.kind]
    return f"{what}: {_short(job.request.case.checkpoint)} on {_short(job.request.case.shard)}"


def state(job: Job) -> str:
    """How far a job is."""
    return f"{_state(job)}, queued again after a restart" if job.active and job.resumed else _state(job)


def _state(job: Job) -> str:
    if job.state == "queued":
        return "next" if not job.ahead else f"waits for {job.ahead} other{'s' if job.ahead > 1 else ''}"
    if job.state != "running":
        return {"done": "done", "failed": "failed", "cancelled": "cancelled"}[job.state]
    if job.silent:
        return f"no answer for {job.silent:.0f} s"
    return f"{numbers.percent(job.fraction, 0)} on {job.slot}" if job.fraction else f"starting on {job.slot}"


def _news(jobs: list[Job], case: Case | None) -> frozenset[tuple[str, float]]:
    """Changes when a job of the case is recorded."""
    return frozenset((job.id, job.finished) for job in jobs if job.state == "done" and run.about(job, case))


def _rows(jobs: list[Job], case: Case | None, page: str, shown: str | None) -> list[Job]:
    """Those that run or wait, but for the one that the page itself shows; then what of mine is finished and was neither
    opened nor put away. Mine first."""
    mine, away = who.me(), st.session_state.setdefault("tray-away", set())
    rows = []
    for job in jobs:
        if job.active:
            if job.id != shown:
                rows.append(job)
            continue
        key = (job.id, job.finished)
        here = run.about(job, case) and PAGE_OF[job.request.kind] == page
        if job.id == shown or (here and job.state == "done") or (job.batch and job.state != "failed"):
            away.add(key)  # how it ended stands on this page, or in the table that the batch was asked for from
        if mine in job.owners and key not in away and time.time() - job.finished < KEPT_SECONDS:
            rows.append(job)
    return sorted(rows, key=lambda job: (mine not in job.owners, not job.active))


def _batch(waiting: list[Job]) -> None:
    """What waits of a batch, in one row."""
    whose = show.plain(who.named(waiting[0].owners))
    text = f"**{len(waiting)} more of a batch** · {show.plain(state(waiting[0]))} · {whose}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(text, width="stretch")
        st.button(
            "Cancel all",
            key=f"tray-cancel-{waiting[0].batch}",
            on_click=_cancel_all,
            args=(waiting,),
            type="tertiary",
            icon=":material/close:",
            help="Take these out of the queue. What runs goes on.",
            disabled=not run.may_stop(),
        )


def _cancel_all(waiting: list[Job]) -> None:
    for job in waiting:
        job_queue().cancel(job.id)


def _row(job: Job) -> None:
    text = f"**{show.plain(title(job))}** · {show.plain(state(job))} · {show.plain(who.named(job.owners))}"
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.active:
            if job.state == "running":
                st.progress(min(1.0, max(0.0, job.fraction)), text=text)
            else:
                st.markdown(text, width="stretch")
            st.button(
                "Cancel",
                key=f"tray-cancel-{job.id}",
                on_click=job_queue().cancel,
                args=(job.id,),
                type="tertiary",
                icon=":material/close:",
                help="Stop this job. Nothing of it is recorded.",
                disabled=not run.may_stop(),
            )
            return
        why = f" {show.plain(job.error)}" if job.error else ""
        st.markdown(f"{ICONS[job.state]} {text}{why}", width="stretch")
        query = job.request.case.to_query() | ({} if job.state == "done" else {"job": job.id})
        show.link(PAGE_OF[job.request.kind], "Open", query)
        st.button(
            "Put away",
            key=f"tray-away-{job.id}",
            on_click=st.session_state["tray-away"].add,
            args=((job.id, job.finished),),
            type="tertiary",
            icon=":material/close:",
        )


ICONS = {"done": ":material/check:", "failed": ":material/error:", "cancelled": ":material/cancel:"}


def _short(name: str) -> str:
    return name.rpartition("/")[2]
