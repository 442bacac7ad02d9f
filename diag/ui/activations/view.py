"""The activations page: one headline, and the pictures it rests on. Each function draws one thing."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from diag import charts
from diag.evidence.records import Record
from diag.results.baseline import BaselineResult, LayerProbe
from diag.results.ruler import Ruler
from diag.ui.activations import columns, one_layer, tables
from diag.ui.activations.headline import Headline, headline
from diag.ui.shell import show, words
from diag.ui.shell.session import Selection


def signal(own: Sequence[LayerProbe], found: BaselineResult, record: Record, chosen: Selection, changed: str) -> None:
    """The headline, then what it rests on: norms over depth, components, lens, positions, one layer, all layers."""
    reference, measured = found.reference.layers if found.reference else (), found.measurement
    says = headline(found)
    _headline(says, changed)
    st.subheader("What flows, and what each layer adds", anchor=False)
    st.caption(
        "Root mean square over tokens and channels. Healthy: the stream never shrinks to nothing, no update is 0 or "
        "far above it, and solid lines lie on the dashed ones. Click a point to open its layer."
    )
    show.chart(charts.layers(own, reference), one_layer.CHART, one_layer.picked)
    one_layer.pane(own, reference, found.divergence, chosen, says.layer)
    if found.divergence:
        st.subheader("Which components differ from the reference's", anchor=False)
        st.caption(
            f"Each component on the reference's input, n = {found.divergence.tokens:,} tokens. Healthy: nothing is "
            "coloured. A colour in one row is that component; all rows alike are another training. The ring: the first."
        )
        show.chart(charts.components(found.divergence), "component-errors")
    _lens(own, reference, found.ruler)
    _positions(found)
    st.subheader("How much of the stream each update is", anchor=False)
    st.caption(
        "Norm of the update over the norm of the stream it is added to. Healthy: the same as the reference's, and "
        "never 0, which is a block that does nothing."
    )
    show.chart(charts.shares(own, reference), "shares")
    st.subheader("Every layer", anchor=False)
    show.table(tables.layers(own, reference), "layers", column_config=columns.LAYERS)
    if measured:
        n = f"n = {measured.tokens:,} tokens in {measured.sequences} sequences."
        st.caption(show.plain(f"{n} {words.measured_on(measured)} {words.provenance(record)}"))
    show.permalink(record, chosen.settings)


def _headline(says: Headline, changed: str) -> None:
    show.badge(says.word)
    st.markdown(f"**{show.plain(says.text)}**")
    for sentence in says.more:
        st.markdown(show.plain(sentence))
    show.warnings((changed,) if changed else ())


def _positions(found: BaselineResult) -> None:
    """The stream by layer and position, where the record has it."""
    own = found.measurement.trace if found.measurement else None
    if own is None or not own.rows:
        return
    theirs = found.reference.trace if found.reference else None
    st.subheader("The stream by layer and position", anchor=False)
    st.caption(
        "Root mean square beside the reference's, positions grouped fourfold. Healthy: no colour anywhere. A "
        "colour that sets in with the position is attention; one that is there from the first is a matrix or a norm."
        if theirs
        else "Root mean square, positions grouped fourfold. Healthy: rows alike but for the first position, "
        "which many models make larger."
    )
    show.chart(charts.stream_by_position(own, theirs), "stream-by-position")


def _lens(own: Sequence[LayerProbe], reference: Sequence[LayerProbe], ruler: Ruler) -> None:
    """The loss read off after each layer, where it was measured."""
    st.subheader("What the head would say after each layer", anchor=False)
    if not any(probe.logit_lens_nats is not None for probe in own):
        st.caption("A test skips this reading; a measurement of the case has it.")
        return
    st.caption(
        "Loss in nats per token if the final norm and the head read the stream there. Healthy: it begins near chance "
        "and falls with depth, to the loss of the model."
    )
    show.chart(charts.logit_lens(own, reference, ruler if ruler.unigram_nats is not None else None), "logit-lens")


def nothing_measured(chosen: Selection, found: BaselineResult | None) -> None:
    """Why there is nothing to draw."""
    if chosen.record:
        st.info("This record holds no layers. Leave it in the sidebar to measure the case now.")
    elif found:
        st.info("No forward pass was possible: the window holds ids without an embedding row. See the shard page.")
    else:
        st.info("No layer of this case has been measured yet: one forward pass, seconds on the demo.")
