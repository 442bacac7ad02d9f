"""Every tensor in a table to filter and sort, and one of them looked at closely; its name is part of the link."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from diag import charts
from diag.catalogue import Entry
from diag.checkpoints import VERDICTS, TensorDifference
from diag.errors import InputError, one_line
from diag.report import numbers
from diag.ui.shell import contents, show
from diag.ui.shell.columns import FACTS
from diag.ui.shell.session import Selection
from diag.ui.weights import columns, reads, tables

CHOSEN = "tensor"  # the parameter of the link, and the widget's key


def table(own: pd.DataFrame, reference: pd.DataFrame | None, entry: Entry | None) -> None:
    """The table. A click on a row picks its tensor."""
    st.subheader("Every tensor", anchor=False)
    shown = _filtered(tables.tensors(own, reference))
    says = f"{len(shown):,} of {len(own):,} tensors. Statistics are over finite elements, in the tensor's own unit."
    if reference is not None and entry:
        says += f" Beside each root mean square stands the reference's ({show.plain(entry.id)}); a ratio of 1 is equal."
    st.caption(f"{says} Mark a row at its left edge to look at that tensor; a click on a head sorts.")
    if shown.empty:
        st.info("No tensor fits these filters. Take one of them away.")
        return
    st.session_state["tensors-shown"] = shown["name"].tolist()
    show.table(
        shown, "tensors", column_config=columns.TENSORS, on_select=_picked, selection_mode="single-row", height=390
    )


def one(chosen: Selection, entry: Entry, names: list[str]) -> None:
    """The picked tensor: values, rows, columns, numbers, and the same of the reference."""
    st.subheader("One tensor", anchor=False)
    asked = st.query_params.get(CHOSEN, "")
    if asked and asked not in names:
        says = f"The link asks for the tensor '{one_line(asked, 120)}', which this checkpoint does not hold."
        show.problem(InputError(says, fix="Pick one below, or in the table above."))
    name = st.selectbox(
        "Tensor",
        names,
        index=None,
        key=CHOSEN,
        bind="query-params",
        placeholder="none picked",
        help="Or mark a row of the table above. The choice is part of the link.",
    )
    if not name:
        st.caption("Pick a tensor to see its values, its rows and its columns.")
        return
    with show.guard("The tensor cannot be shown"):
        _closely(chosen, entry, name)


def _closely(chosen: Selection, entry: Entry, name: str) -> None:
    here = contents.located(chosen.catalogue, entry)
    view = reads.tensor(*here, name)
    views = [(entry.label, view)]
    reference = chosen.reference if chosen.reference and chosen.reference.id != entry.id else None
    if reference:
        there = contents.located(chosen.catalogue, reference)
        with show.guard("The reference's tensor cannot be shown"):
            found = reads.tensor_difference(here, there, name)
            if found and found.dtype_there:
                views.append((reference.label, reads.tensor(*there, found.against or name)))
            if found:
                show.badge(found.verdict, VERDICTS[found.verdict], "against the reference:")
                st.write(_against(found))
    left, right = st.columns(2)
    with left:
        st.markdown("**Values**")
        show.chart(charts.values(views), "tensor-values")
    with right:
        st.markdown("**Rows**" if view.columns else "**By position**")
        figure = charts.profile([(n, v.rows) for n, v in views], "row" if view.columns else "position")
        show.chart(figure, "tensor-rows")
    if view.columns:
        st.markdown("**Columns**")
        figure = charts.profile([(n, v.columns) for n, v in views if v.columns], "column")
        show.chart(figure, "tensor-columns")
    st.markdown("**Numbers, and where it is stored**")
    show.table(tables.tensor_numbers(view), "tensor", column_config=FACTS, height="content")


def _against(found: TensorDifference) -> str:
    detail = f"{show.plain(found.detail)}. " if found.detail else ""
    if found.relative is None:
        return detail or show.plain(VERDICTS[found.verdict])
    said = [f"Largest difference {numbers.figure(found.max_abs_diff)}"]
    said.append(f"‖difference‖ ÷ ‖reference‖ {numbers.figure(found.relative)}")
    if found.cosine is not None:
        said.append(f"cosine {numbers.figure(found.cosine)}")
    if found.equal_rows_share is not None:
        said.append(f"{numbers.percent(found.equal_rows_share)} of the rows are equal")
    return f"{detail[:1].upper()}{detail[1:]}{', '.join(said)}."


def _filtered(frame: pd.DataFrame) -> pd.DataFrame:
    text, role, layer, dtype = st.columns([3, 2, 2, 2])
    with text:
        wanted = st.text_input(
            "Only names that contain", key="find", bind="query-params", placeholder="for example down_proj"
        )
    picked = {
        "role": role.multiselect("Role", sorted(frame["role"].unique()), placeholder="every role"),
        "layer": layer.multiselect("Layer", sorted(frame["layer"].dropna().unique()), placeholder="every layer"),
        "dtype": dtype.multiselect("Stored as", sorted(frame["dtype"].unique()), placeholder="every type"),
    }
    if wanted:
        frame = frame[frame["name"].str.contains(wanted, regex=False)]
    for column, values in picked.items():
        frame = frame[frame[column].isin(values)] if values else frame
    return frame


def _picked() -> None:
    """A row was marked: its tensor is the chosen one."""
    rows = st.session_state["table-tensors"]["selection"]["rows"]
    names = st.session_state.get("tensors-shown", [])
    if rows and rows[0] < len(names):
        st.session_state[CHOSEN] = names[rows[0]]
