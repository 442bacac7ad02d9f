"""One layer: its components, its figures, and the way to its weights. The choice is part of the link."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from diag.results.baseline import LayerProbe
from diag.results.divergence import Divergence
from diag.ui.activations import columns, tables
from diag.ui.activations.layers import oddities, paired
from diag.ui.shell import session, show
from diag.ui.shell.session import Selection

CHOSEN = "layer"  # the parameter of the link, and the widget's key
CHART = "chart-layers"


def picked() -> None:
    """A point of the chart was clicked: its layer is the chosen one."""
    points = st.session_state[CHART]["selection"]["points"]
    if points:
        st.session_state[CHOSEN] = str(int(points[0]["x"]))


def pane(
    own: Sequence[LayerProbe],
    reference: Sequence[LayerProbe],
    divergence: Divergence | None,
    chosen: Selection,
    suggested: int | None,
) -> None:
    """The picked layer; until one is picked, the one that the headline names."""
    st.subheader("One layer", anchor=False)
    names = [str(probe.index) for probe in own]
    # A default beside a value that a click has set is two answers to one question.
    default = names.index(str(suggested)) if str(suggested) in names and CHOSEN not in st.session_state else None
    name = st.selectbox(
        "Layer",
        names,
        index=default,
        key=CHOSEN,
        bind="query-params",
        placeholder="none picked",
        help="Or click a point of the picture above. The choice is part of the link.",
        width=160,
    )
    if name is None:
        st.caption("Pick a layer, or click a point above, to see its components and its weights.")
        return
    probe, beside = next(pair for pair in paired(own, reference) if pair[0].index == int(name))
    odd = oddities(probe, beside)
    st.markdown(
        show.plain(f"Layer {name}: {'; '.join(odd)}." if odd else f"The norms of layer {name} show nothing odd.")
    )
    found = [each for each in divergence.components if each.layer == int(name)] if divergence else []
    if found:
        st.caption(
            "Own error: what the component and the reference's give for the same input, over the output's norm. In a "
            "sound copy it is 0, or near its noise floor. Error in and out are those of this checkpoint's own run."
        )
        show.table(tables.components(found), "components", column_config=columns.COMPONENTS, height="content")
    else:
        st.caption("A measurement with a reference lists every component here with its own error.")
    if chosen.case:
        query = session.link_of(chosen.case, None) | {"find": f".{name}."}
        show.link("weights", f"The weights of layer {name}", query, icon=":material/grid_on:")
