"""What a run will take, beside the button that starts it."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from diag.case import Device
from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.model.estimate import Estimate, cpu_speed, estimate, free_memory, has_gpu
from diag.report.costs import cost_text
from diag.ui.shell import show
from diag.ui.shell.session import Selection

Kind = Literal["measure", "test", "reproduce"]  # jobs whose cost is estimated


def caption(chosen: Selection, kind: Kind) -> None:
    """Time and memory of this run as a caption; nothing where the checkpoint does not open, which the page says."""
    if not chosen.runnable or chosen.case is None or chosen.checkpoint is None:
        return
    try:
        found = _estimate(kind, _device(chosen.case.device), chosen.checkpoint.stamp, chosen.case.to_query(), chosen)
    except InputError:
        return
    on_cpu = found.device == "cpu"
    st.caption(show.plain(cost_text(found, free_memory() if on_cpu else None, _cpu_speed() if on_cpu else None)))


def _device(asked: Device) -> Literal["cpu", "cuda"]:
    if asked == "auto":
        return "cuda" if has_gpu() else "cpu"
    return asked


@st.cache_data(max_entries=256, show_spinner=False)
def _estimate(
    kind: Kind, device: Literal["cpu", "cuda"], stamp: str, query: dict[str, str], _chosen: Selection
) -> Estimate:
    case = _chosen.case
    assert case
    checkpoint = open_checkpoint(_chosen.catalogue.resolve("checkpoint", case.checkpoint))
    has_reference = case.reference is not None
    return estimate(checkpoint, case.window, kind, reference=has_reference, device=device, dtype=case.dtype)


@st.cache_data(ttl=600, show_spinner=False)
def _cpu_speed() -> float:
    return cpu_speed()
