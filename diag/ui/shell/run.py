"""Long work from a page: start it, watch it, stop it. The job's id is in the link, so that any viewer can watch."""

from __future__ import annotations

import streamlit as st

from diag.case import Case
from diag.errors import InputError
from diag.jobs.job import Job
from diag.jobs.protocol import JobKind, JobRequest
from diag.jobs.unwritten import RETRY_SECONDS
from diag.report import numbers
from diag.ui.shell import person, show, who
from diag.ui.shell.server import job_queue
from diag.ui.shell.session import Selection

POLL_SECONDS = 0.5
_CASE_PARTS = ("shard", "checkpoint", "reference", "window", "device", "dtype")
SHORTCUT = "Ctrl+Enter"
WATCHES: dict[str, JobKind] = {"case": "measure", "activations": "measure", "hypotheses": "test"}  # pages with a panel


def about(job: Job, case: Case | None) -> bool:
    """Whether a job is about this case: the same names and window, whatever is claimed or promised."""
    asked = job.request.case
    return case is not None and all(getattr(asked, part) == getattr(case, part) for part in _CASE_PARTS)


def under_way(case: Case | None) -> bool:
    """Whether the link's job, or another of this case, waits or runs."""
    id = st.query_params.get("job")
    return any(job.active and (job.id == id or about(job, case)) for job in job_queue().all_jobs())


def shown_on(page: str, chosen: Selection | None) -> str | None:
    """The job that a page's panel shows, if it runs or waits."""
    kind = WATCHES.get(page)
    if kind is None:
        return None
    linked = job_queue().get(st.query_params.get("job", ""))
    return linked.id if linked and linked.request.kind == kind else _of_case(chosen, kind)


def _of_case(chosen: Selection | None, kind: JobKind) -> str | None:
    """The job of this kind that somebody asked for about this case, while it waits or runs."""
    case = chosen.case if chosen and not chosen.record else None
    jobs = job_queue().all_jobs()
    return next((job.id for job in jobs if job.active and job.request.kind == kind and about(job, case)), None)


def button(
    chosen: Selection,
    label: str,
    kind: JobKind,
    ids: tuple[str, ...] = (),
    *,
    main: bool = False,
    help: str = "",
    shortcut: str | None = None,
) -> None:
    """A button that starts work on the picked case. `main`: the one thing to do next on its page."""
    st.button(
        label,
        key=f"run-{kind}-{'-'.join(ids) or 'all'}",
        on_click=start,
        args=(chosen, kind, ids),
        type="primary" if main else "secondary",
        icon=":material/play_arrow:",
        shortcut=shortcut,
        disabled=not chosen.runnable or under_way(chosen.case) or not person.may_run(chosen.settings),
        help=help or None,
    )


def start(chosen: Selection, kind: JobKind, ids: tuple[str, ...] = ()) -> None:
    """Queue the work and put its id into the link. Called before the script runs, so a refusal is kept for `panel`."""
    if chosen.case is None:
        return
    try:
        if not person.may_run(chosen.settings):
            raise InputError(person.NOT_ALLOWED)
        request = JobRequest(kind, chosen.case, ids, chosen.stamp)
        job = job_queue().submit(request, who.me(), again=True)  # asked on purpose: another run, another record
    except InputError as error:
        st.session_state["refused"] = error
        return
    st.query_params["job"] = job.id


def may_stop() -> bool:
    """Whether this person may end work: who may start it may."""
    chosen: Selection | None = st.session_state.get("selection")
    return chosen is None or person.may_run(chosen.settings)


def panel(chosen: Selection, kind: JobKind, ids: tuple[str, ...] = (), *, everything: bool = False) -> None:
    """The link's job, if it asks for exactly this (or whatever it asks for): progress, failure, or how to go on.

    `kind` and `ids` are what "Run again" asks for when the server has forgotten the job.
    """
    refused = st.session_state.pop("refused", None) if everything else None
    if refused:
        show.problem(refused, "The work was not queued")
    id = st.query_params.get("job") or (_of_case(chosen, kind) if everything else None)
    if not id:
        return
    job = job_queue().get(id)
    single = job is not None and len(job.request.ids) == 1
    if job and not (job.request.ids == ids and job.request.kind == kind) and not (everything and not single):
        return
    if job is None:
        if everything:
            st.warning(
                "This server does not know the job that the link names: it was restarted since, or the job was done "
                "long ago. What was finished is recorded and shown below; what was not has to run again.",
                icon=":material/history:",
            )
            _again(chosen, kind, ids, id)
    elif job.active:
        _watch(job.id)
    elif job.state == "done" and job_queue().unwritten.get(job.record):
        _offer(job.id)
    elif job.state == "done":
        st.query_params.pop("job", None)
        st.toast("Recorded.", icon=":material/check:")
    else:
        _failed(chosen, job)


@st.fragment(run_every=RETRY_SECONDS)
def _offer(id: str) -> None:
    """The record that the disk refused, to be kept by hand; one rerun of the page when it is written after all."""
    job = job_queue().get(id)
    text = job_queue().unwritten.get(job.record) if job else None
    if job is None or text is None:
        st.rerun()
    st.warning(
        f"**The run is done, and its record is not written yet.** {show.plain(job.error)} It is kept in the memory of "
        "this server until that ends, and written as soon as there is room.",
        icon=":material/save:",
    )
    st.download_button(
        "Download the record",
        text,
        file_name=f"{job.record}.json",
        mime="application/json",
        key=f"unwritten-{id}",
        icon=":material/download:",
    )


def _failed(chosen: Selection, job: Job) -> None:
    if job.state == "cancelled":
        st.info(show.plain(job.error), icon=":material/cancel:")
    else:
        st.error(f"**The run failed.** {show.plain(job.error)}", icon=":material/error:")
    _again(chosen, job.request.kind, job.request.ids, job.id)


def _again(chosen: Selection, kind: JobKind, ids: tuple[str, ...], id: str) -> None:
    st.button(
        "Run again",
        key=f"again-{id}",
        on_click=start,
        args=(chosen, kind, ids),
        icon=":material/replay:",
        disabled=not chosen.runnable,
    )


@st.fragment(run_every=POLL_SECONDS)
def _watch(id: str) -> None:
    """Progress, twice a second; one rerun of the page at the end."""
    job = job_queue().get(id)
    if job is None or not job.active:
        st.query_params["job"] = id  # also for those who did not ask for it: how it ended stands here
        st.rerun()
    if job.state == "queued":
        jobs = f"{job.ahead} job{'s' if job.ahead > 1 else ''} before this one"
        text = f"Waiting: {jobs if job.ahead else 'nothing before it'}"
    elif not job.fraction:
        text = f"{job.text}: a worker that has just been started needs some seconds to load torch"
    else:
        text = f"{job.text} · {numbers.percent(job.fraction, 0)} of the whole run"  # the text counts within one step
    st.progress(min(1.0, max(0.0, job.fraction)), text=show.plain(text))
    if job.resumed:
        st.caption("Queued again after a restart of the server.")
    if job.silent:
        st.warning(
            f"**No answer for {job.silent:.0f} s.** The worker is stopped or stuck. It may go on by itself; cancelling "
            "the job that runs ends the worker, and a new one takes the next job.",
            icon=":material/hourglass_disabled:",
        )
    for each in job.learnt:
        st.caption(f"**{show.plain(each.name)}** so far: {show.plain(each.text)}")
    with st.container(horizontal=True):
        st.button(
            "Cancel",
            key=f"cancel-{id}",
            on_click=job_queue().cancel,
            args=(id,),
            disabled=not may_stop(),
            icon=":material/close:",
        )
        if job.learnt:
            st.button(
                "Concluding" if job.stopping else "Stop with what is known",
                key=f"conclude-{id}",
                on_click=job_queue().conclude,
                args=(id,),
                disabled=job.stopping or not may_stop(),
                icon=":material/flag:",
                help="Ends the run at the next batch and records what it has measured, and that it was stopped.",
            )
