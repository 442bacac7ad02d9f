"""The parts of the weights page: tie and its pictures, findings, configuration. Each draws one thing."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from diag import charts
from diag.catalogue import Entry
from diag.checkpoints import Tie
from diag.report.numbers import files_and_size, size
from diag.ui.shell import contents, show
from diag.ui.shell.columns import FACTS
from diag.ui.shell.contents import Place
from diag.ui.shell.session import Selection
from diag.ui.weights import columns, reads, tables

AT_ONCE_BYTES = 1_000_000_000  # some seconds; a larger file is read when somebody asks
SECONDS_A_GB = 4
BOXES = 5  # findings shown in full; the table below them has all


def verdict(tie: Tie) -> None:
    """The tie in a sentence."""
    with st.container(horizontal=True, vertical_alignment="center"):
        show.badge(tie.status, of="head and embedding:")
    st.markdown(f"**{show.plain(tie.sentence)}**")


def pictures(tie: Tie, place: Place) -> None:
    """Head against embedding: norms, cosines, and the numbers behind them."""
    embedding, head, cosines = reads.tie_rows(*place)
    if embedding is None:
        return
    left, right = st.columns(2)
    with left:
        st.subheader("Row norms", anchor=False)
        st.caption(
            f"{len(embedding):,} rows, evenly spread. A head that is the embedding lies on the diagonal; a random one "
            "lies in a flat stripe, because all its rows have nearly the same norm."
            if head is not None
            else f"{len(embedding):,} rows of the embedding, evenly spread; the file holds no head. Trained rows vary."
        )
        show.chart(charts.row_norms(embedding, head), "row-norms")
    with right:
        if cosines is not None:
            st.subheader("Row cosines", anchor=False)
            st.caption(
                "Between the head's row and the embedding's row of the same token: 1 when it is a copy, around 0 when "
                "one of them knows nothing of the other."
            )
            show.chart(charts.row_cosines(cosines), "row-cosines")
        else:
            numbers(tie)
    if cosines is not None:
        numbers(tie)


def numbers(tie: Tie) -> None:
    """What the tie status rests on."""
    st.markdown("**The numbers behind it**")
    frame = tables.tie(tie)
    shown = frame if tie.head else frame[frame["value"] != "–"]  # without a head there is nothing to subtract
    show.table(shown, "tie", column_config=FACTS, height="content")


def facts(audit: dict[str, Any], entry: Entry) -> None:
    """What the file is, in four numbers; and what an architecture that is not known means."""
    with st.container(horizontal=True):
        for label, value, below in (
            ("Family", audit["family"] or "not known", audit["declared_architecture"] or "no architecture is named"),
            ("Parameters", f"{audit['parameters'] / 1e6:,.1f} M", f"{audit['tensors']:,} tensors"),
            ("Format", audit["format"], files_and_size(entry.files, entry.bytes)),
        ):
            st.metric(
                label, show.plain(value), delta=show.plain(below), delta_color="off", delta_arrow="off", border=True
            )
    if audit["family"] is None:
        named = show.plain(audit["declared_architecture"] or "(none is named)")
        st.warning(
            f"The architecture {named} is not in the table of families, so nobody knows which tensors it must hold or "
            "what ties its head. Values are checked all the same.\n\nWhat to do: pick a reference of the same model in "
            "the sidebar, which shows what differs; or correct the architecture in config.json.",
            icon=":material/help:",
        )


def findings(audit: dict[str, Any]) -> None:
    """What the audit found, worst first, with what to do."""
    st.subheader("Findings", anchor=False)
    found = tables.findings(audit)
    if found.empty:
        st.success(
            "The file shows nothing suspicious by itself: all tensors are there, in shape, finite and trained."
            if audit["family"]
            else "The values show nothing suspicious. Names and shapes could not be checked."
        )
        return
    boxes = {"error": st.error, "warning": st.warning}
    for one in found[found["severity"] != "info"].head(BOXES).itertuples(index=False):
        boxes[one[0]](f"{show.plain(one[2])}\n\nWhat to do: {show.plain(one[3])}")
    counts = found["severity"].value_counts()
    st.write(", ".join(f"{counts[word]} {word}" for word in ("error", "warning", "info") if word in counts) + ".")
    with st.expander("All findings as a table"):
        show.table(found, "findings", column_config=columns.FINDINGS, height="content" if len(found) < 12 else 400)


def configuration(audit: dict[str, Any]) -> None:
    """Every value with its source."""
    st.subheader("Configuration", anchor=False)
    show.table(tables.configuration(audit), "config", column_config=FACTS, height="content")


def wanted(entry: Entry) -> bool:
    """Small files are read at once, large ones on demand."""
    if entry.bytes <= AT_ONCE_BYTES:
        return True
    seconds = entry.bytes / 1e9 * SECONDS_A_GB
    st.info(f"The file has {size(entry.bytes)}. Reading every tensor takes about {seconds:.0f} s the first time.")
    return st.toggle("Read every tensor", key="read-all")


def reference_tensors(chosen: Selection) -> pd.DataFrame | None:
    """The reference's tensors; None without one, or where it is large and was not read yet."""
    if chosen.reference is None or chosen.reference.bytes > AT_ONCE_BYTES:
        return None
    with show.guard("The reference cannot be read"):
        return reads.tensor_table(*contents.located(chosen.catalogue, chosen.reference))
    return None
