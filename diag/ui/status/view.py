"""What an operator looks at when something is slow: who computes, who waits, and what is nearly full."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from diag.report import numbers
from diag.ui.shell import server, show
from diag.ui.shell.figures import figures
from diag.ui.shell.session import Selection

LOOK_SECONDS = 5.0
NEARLY_FULL = 0.05  # of a disk that is left


@st.fragment(run_every=LOOK_SECONDS)
def state(chosen: Selection) -> None:
    """All of it, anew every five seconds."""
    queue = server.job_queue()
    now = figures(queue, chosen.settings, server.engine_problem)
    show.warnings(tuple(_troubles(now)))
    counts = now["queue"]
    with st.container(horizontal=True, gap="large"):
        st.metric("Running", counts["running"], width="content")
        st.metric("Waiting", counts["queued"], width="content")
        st.metric("Longest wait", numbers.seconds(counts["longest_wait_seconds"]), width="content")
        st.metric("People", counts["people"], width="content")
        st.metric("Records", f"{now['records']:,}", width="content")
        st.metric("Up", numbers.seconds(now["uptime_seconds"]), width="content")
    st.subheader("Workers", anchor=False)
    show.table(_workers(now["workers"]), "workers")
    if now["devices"]:
        st.subheader("Devices", anchor=False)
        show.table(_devices(now["devices"]), "devices")
    st.subheader("Memory and disk", anchor=False)
    show.table(_places(now), "places")
    st.caption(show.plain(" · ".join(f"{name} {number}" for name, number in now["versions"].items())))
    st.caption("The same as JSON: /status.json. For a scraper: /metrics, where the settings open it.")


def _troubles(now: dict[str, Any]) -> list[str]:
    """Sentences about what needs a hand."""
    found = [now["engine"]["problem"]] if now["engine"]["problem"] else []
    found += [
        f"The worker on {w['slot']} has given no answer for {w['silent_seconds']:.0f} s. Cancel its job to end it."
        for w in now["workers"]
        if w["stuck"]
    ]
    found += [
        f"Of the disk of the {disk['place']} folder {numbers.size(disk['free_bytes'])} are left."
        for disk in now["disk"]
        if disk["free_bytes"] < NEARLY_FULL * disk["total_bytes"]
    ]
    if lost := now["queue"]["unwritten_records"]:
        found.append(f"{lost} records are in memory only: the disk refused them.")
    return found


def _workers(workers: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "slot": w["slot"],
            "state": "stuck" if w["stuck"] else "busy" if w["busy"] else "ready" if w["ready"] else "starting",
            "job": w["job"] or "",
            "memory": numbers.size(w["resident_bytes"]) if w["resident_bytes"] else "",
            "models kept": ", ".join(m["checkpoint"].rpartition("/")[2] for m in w["models"]),
            "their size": numbers.size(w["model_bytes"]) if w["model_bytes"] else "",
            "process": w["pid"],
        }
        for w in workers
    ]
    return pd.DataFrame(rows)


def _devices(devices: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [
        {
            "device": d["name"],
            "used": numbers.size(d["used_bytes"]),
            "of": numbers.size(d["total_bytes"]),
            "busy": numbers.percent(d["busy_share"], 0),
        }
        for d in devices
    ]
    return pd.DataFrame(rows)


def _places(now: dict[str, Any]) -> pd.DataFrame:
    memory = now["memory"]
    free = "" if memory["free_bytes"] is None else numbers.size(memory["free_bytes"])
    rows = [{"place": "memory, this server's", "used": numbers.size(memory["server_bytes"]), "free": free}]
    rows += [{"place": f"disk, {d['place']}", "used": "", "free": numbers.size(d["free_bytes"])} for d in now["disk"]]
    rows.append({"place": "index of the records", "used": numbers.size(now["index_bytes"]), "free": ""})
    return pd.DataFrame(rows)
