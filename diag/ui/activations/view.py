"""The activations page: the sentence, the norms, the shares, the lens, the table. Each function draws one thing."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from diag.evidence.records import Record
from diag.results.baseline import BaselineResult, LayerProbe
from diag.results.ruler import Ruler
from diag.ui import charts
from diag.ui.activations import columns, layers, tables
from diag.ui.shell import show, words
from diag.ui.shell.session import Selection


def signal(own: Sequence[LayerProbe], found: BaselineResult, record: Record, chosen: Selection, changed: str) -> None:
    """The sentence, the norms, the shares, the lens, the table."""
    reference = found.reference.layers if found.reference else ()
    suspect = layers.first_suspect(own, reference)
    if suspect.layer is None:
        show.badge("ok")
    else:
        show.badge("suspect", of=f"layer {suspect.layer}:")
    st.markdown(f"**{show.plain(suspect.sentence)}**")
    show.warnings((changed,) if changed else ())
    if not reference:
        st.caption("No reference was measured. With one, each layer is held against the same layer of a sound model.")
    st.subheader("What flows, and what each layer adds", anchor=False)
    st.caption("Root mean square over tokens and channels, in the units of the hidden state.")
    show.chart(charts.layers(own, reference), "layers")
    st.subheader("How much of the stream each update is", anchor=False)
    st.caption("Norm of the update over the norm of the stream it is added to. 0: the block does nothing.")
    show.chart(charts.shares(own, reference), "shares")
    _lens(own, reference, found.ruler)
    st.subheader("Every layer", anchor=False)
    show.table(tables.layers(own, reference), "layers", column_config=columns.LAYERS)
    measured = found.measurement
    if measured:
        st.caption(
            show.plain(
                f"n = {measured.tokens:,} tokens in {measured.sequences} sequences. {words.measured_on(measured)} "
                f"{words.provenance(record)}"
            )
        )
    show.permalink(record, chosen.settings)


def _lens(own: Sequence[LayerProbe], reference: Sequence[LayerProbe], ruler: Ruler) -> None:
    """The loss read off after each layer, where it was measured."""
    st.subheader("What the head would say after each layer", anchor=False)
    if not any(probe.logit_lens_nats is not None for probe in own):
        st.caption("A test skips this reading; a measurement of the case has it.")
        return
    st.caption(
        "Loss in nats per token if the final norm and the head read the stream there. It should fall with depth."
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
