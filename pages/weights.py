"""What does the file really hold? Tie status first, then the findings of the static audit, then every tensor."""

import pandas as pd
import streamlit as st

from diag.catalogue import Entry
from diag.ui import charts, columns, frozen, session, show, summaries, tables
from diag.ui.session import Selection

BOXES = 5  # findings shown in full; the table below them has all
AT_ONCE_BYTES = 4_000_000_000  # about half a minute; a larger file is read when somebody asks


def page(chosen: Selection) -> None:
    """The page for the picked checkpoint, the reference beside it where there is one."""
    st.title("What does the file really hold?", anchor=False)
    frozen.check(chosen.record, "tie")
    if chosen.checkpoint is None:
        frozen.nothing("checkpoint", chosen.record)
        return
    with show.guard("The checkpoint cannot be read"):
        tied(chosen, chosen.checkpoint)
        if wanted(chosen.checkpoint):
            place = summaries.located(chosen.catalogue, chosen.checkpoint)
            found = summaries.checkpoint_audit(*place)
            findings(found.audit)
            tensors(found.tensors, reference_tensors(chosen), chosen.reference)
            configuration(found.audit)


def tied(chosen: Selection, entry: Entry) -> None:
    """The tie in words, with the numbers behind it and the picture of row norms."""
    place = summaries.located(chosen.catalogue, entry)
    tie = summaries.tie(*place)
    show.badge(tie.status)
    st.markdown(f"**{show.plain(tie.sentence)}**")
    show.table(tables.tie(tie), "tie", column_config=columns.NUMBERS)
    embedding, head = summaries.row_norms(*place)
    if embedding is None:
        return
    st.subheader("Row norms of embedding and head", anchor=False)
    st.caption(
        f"{len(embedding):,} rows, evenly spread. A head that is the embedding lies on the diagonal; a random one "
        "lies in a flat stripe, because all its rows have nearly the same norm."
        if head is not None
        else f"{len(embedding):,} rows of the embedding, evenly spread. The file holds no head. Trained rows vary."
    )
    st.plotly_chart(charts.row_norms(embedding, head), width="stretch", key="row-norms", config=columns.CHART)


def wanted(entry: Entry) -> bool:
    """Small files are read at once, large ones on demand."""
    if entry.bytes <= AT_ONCE_BYTES:
        return True
    size = entry.bytes / 1e9
    return st.toggle(f"Read every tensor ({size:.1f} GB, about {size * 4:.0f} s the first time)", key="read-all")


def findings(audit: dict) -> None:
    """What the audit found, worst first, with what to do."""
    st.subheader("Findings", anchor=False)
    found = tables.findings(audit)
    if found.empty:
        st.success("The file shows nothing suspicious by itself: all tensors are there, in shape, finite and trained.")
        return
    boxes = {"error": st.error, "warning": st.warning}
    for one in found[found["severity"] != "info"].head(BOXES).itertuples(index=False):
        boxes[one[0]](f"{show.plain(one[2])}\n\nWhat to do: {show.plain(one[3])}")
    counts = found["severity"].value_counts()
    st.write(", ".join(f"{counts[word]} {word}" for word in ("error", "warning", "info") if word in counts) + ".")
    show.table(found, "findings", column_config=columns.FINDINGS)


def reference_tensors(chosen: Selection) -> pd.DataFrame | None:
    """The reference's tensors; None without one, or while a large one was not asked for."""
    if chosen.reference is None or chosen.reference.bytes > AT_ONCE_BYTES:
        return None
    return summaries.tensor_table(*summaries.located(chosen.catalogue, chosen.reference))


def tensors(own: pd.DataFrame, reference: pd.DataFrame | None, entry: Entry | None) -> None:
    """Every tensor with its statistics, filtered by name."""
    st.subheader("Tensors", anchor=False)
    if reference is not None and entry:
        st.caption(
            f"Beside each root mean square stands the reference's ({show.plain(entry.id)}); a ratio of 1 is equal."
        )
    text = st.text_input(
        "Only names that contain", key="tensor", bind="query-params", placeholder="for example down_proj"
    )
    table = tables.tensors(own, reference)
    shown = table[table["name"].str.contains(text, regex=False)] if text else table
    st.caption(
        f"{len(shown):,} of {len(table):,} tensors. Statistics are over finite elements, in the tensor's own unit."
    )
    show.table(shown, "tensors", column_config=columns.TENSORS)


def configuration(audit: dict) -> None:
    """What config.json claims."""
    with st.expander("What config.json says, and the file's fingerprint"):
        show.table(tables.configuration(audit), "config", column_config=columns.NUMBERS)


page(session.selection())
