"""Two checkpoints compared for the weights page: at once when small, on a button when large, kept for all sessions."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from diag.catalogue import Entry
from diag.checkpoints import VERDICTS, CheckpointComparison, compare_checkpoints, open_checkpoint
from diag.kept import Kept
from diag.report import numbers
from diag.report.look import said
from diag.ui.shell import contents, show
from diag.ui.shell.long_work import Bar, stopped
from diag.ui.shell.session import Selection
from diag.ui.weights import columns, tables

AT_ONCE_BYTES = 400_000_000  # both together: about a second
_BYTES_A_SECOND = 4e8  # where everything differs; equal bytes go ten times as fast
_KEPT = 16

Key = tuple[str, ...]
EXPLAINED = ("equal", "close")


def section(chosen: Selection, entry: Entry) -> None:
    """The comparison with the picked reference, or what to do to get one."""
    st.subheader("Tensor by tensor against the reference", anchor=False)
    reference = chosen.reference
    if reference is None:
        st.info(
            "No reference is picked. Pick a trusted checkpoint of the same model in the sidebar, of any format: every "
            "tensor is then held against it."
        )
        return
    if reference.id == entry.id:
        st.info("The reference is this very checkpoint, so there is nothing to compare. Pick another in the sidebar.")
        return
    with show.guard("The two cannot be compared"):
        found = _compared(chosen, entry, reference)
        if found:
            _draw(found, reference)


def _compared(chosen: Selection, entry: Entry, reference: Entry) -> CheckpointComparison | None:
    here, there = (contents.located(chosen.catalogue, one) for one in (entry, reference))
    key: Key = ("compare", *here, *there)
    kept = _kept().get(key)
    if kept:
        return kept
    if stopped(key, "The comparison was stopped. Nothing of it is kept.", "Compare again", "compare"):
        return None
    size = entry.bytes + reference.bytes
    if size > AT_ONCE_BYTES and st.session_state.get("compare-asked") != key:
        text = f"Compare every tensor ({numbers.size(size)}, at most about {size / _BYTES_A_SECOND:.0f} s)"
        st.button(text, on_click=_ask, args=(key,), type="primary", key="compare-now", icon=":material/compare:")
        return None
    bar = Bar(f"Comparing with {reference.label}", key, "compare", "Stop comparing")
    found = compare_checkpoints(open_checkpoint(Path(here[0])), open_checkpoint(Path(there[0])), bar.show)
    bar.done()
    _kept().put(key, found)
    return found


def _ask(key: Key) -> None:
    st.session_state["compare-asked"] = key


@st.cache_resource(show_spinner=False)
def _kept() -> Kept[Key, CheckpointComparison]:
    return Kept(_KEPT)


def _draw(found: CheckpointComparison, reference: Entry) -> None:
    st.markdown(sentence(found, reference.id))
    with st.container(horizontal=True):
        for verdict, meaning in VERDICTS.items():
            if verdict in found.counts:
                show.badge(verdict, meaning, f"{found.counts[verdict]:,}")
    if any(one.verdict not in EXPLAINED for one in found.tensors):
        frame = tables.compared(found)
        show.table(frame, "compared", column_config=columns.COMPARED)
        st.caption(
            "Largest difference first. Layers with one verdict stand in one row, and the numbers are those of the "
            "worst of them."
        )
    if found.config:
        st.markdown("**Values of the configuration that differ**")
        show.table(
            tables.config_differences(found), "config-differences", column_config=columns.DIFFERING,
            height="content",
        )  # fmt: skip


def sentence(found: CheckpointComparison, reference: str) -> str:
    """The comparison in one sentence, safe as Markdown."""
    total = len(found.tensors)
    same = sum(found.counts.get(word, 0) for word in EXPLAINED)
    name = show.plain(reference)
    if same == total:
        close = found.counts.get("close", 0)
        how = f", {close:,} of them up to rounding" if close else ", bit for bit"
        return f"**All {total:,} tensors equal those of {name}{how}.**"
    odd = [row for row in found.rows if row.verdict not in EXPLAINED]
    first = odd[0]
    times = f" ({first.count:,} tensors)" if first.count > 1 else ""
    detail = f": {show.plain(first.detail)}" if first.detail else ""
    verdict = said(first.verdict)
    return (
        f"**{total - same:,} of {total:,} tensors differ from those of {name}.** "
        f"First: {show.plain(first.name)}{times} is {verdict}{detail}."
    )
