"""Where does the signal break? Norms of the stream and of what each layer adds to it, beside the reference's."""

from collections.abc import Sequence

import streamlit as st

from diag.evidence.records import Record
from diag.results.findings import LayerProbe, Reading
from diag.ui import charts
from diag.ui.activations import layers
from diag.ui.shell import columns, empty, frozen, results, run, session, show, tables, words
from diag.ui.shell.session import Selection
from diag.units import Ruler


def page(chosen: Selection) -> None:
    """The newest measurement of the case, or how to get one."""
    st.title("Where does the signal break?", anchor=False)
    if chosen.case is None:
        empty.nothing_picked(chosen)
        return
    record = results.results(chosen).loaded
    reading = record.reading() if record else None
    own = reading.measurement.layers if reading and reading.measurement else ()
    if chosen.record:
        frozen.banner(chosen.record)
    else:
        run.panel(chosen, "measure", everything=True)
    if record and reading and own:
        signal(own, reading, record, chosen)
    else:
        nothing_measured(chosen, reading)
    if not chosen.record:
        label = "Measure again" if own else "Measure the layers"
        run.button(chosen, label, "measure", main=not own, help="One forward pass, and one of the reference.")


def nothing_measured(chosen: Selection, reading: Reading | None) -> None:
    """Why there is nothing to draw."""
    if chosen.record:
        st.info("This record holds no layers. Leave it in the sidebar to measure the case now.")
    elif reading:
        st.info("No forward pass was possible: the window holds ids without an embedding row. See the shard page.")
    else:
        st.info("No layer of this case has been measured yet: one forward pass, seconds on the demo.")


def signal(own: Sequence[LayerProbe], reading: Reading, record: Record, chosen: Selection) -> None:
    """The sentence, the norms, the shares, the lens, the table."""
    reference = reading.reference.layers if reading.reference else ()
    suspect = layers.first_suspect(own, reference)
    show.badge("ok" if suspect.layer is None else f"layer {suspect.layer}")
    st.markdown(f"**{show.plain(suspect.sentence)}**")
    show.warnings(tuple(filter(None, [results.newer_files(chosen, record)])))
    if not reference:
        st.caption("No reference was measured. With one, each layer is held against the same layer of a sound model.")
    st.subheader("What flows, and what each layer adds", anchor=False)
    st.caption("Root mean square over tokens and channels, in the units of the hidden state.")
    draw(charts.layers(own, reference), "layers")
    st.subheader("How much of the stream each update is", anchor=False)
    st.caption("Norm of the update over the norm of the stream it is added to. 0: the block does nothing.")
    draw(charts.shares(own, reference), "shares")
    lens(own, reference, reading)
    st.subheader("Every layer", anchor=False)
    show.table(tables.layers(own, reference), "layers", column_config=columns.LAYERS)
    measured = reading.measurement
    if measured:
        st.caption(
            show.plain(
                f"n = {measured.tokens:,} tokens in {measured.sequences} sequences. {words.measured_on(measured)} "
                f"{words.provenance(record)}"
            )
        )
    show.permalink(record, chosen.settings)


def lens(own: Sequence[LayerProbe], reference: Sequence[LayerProbe], reading: Reading) -> None:
    """The loss read off after each layer, where it was measured."""
    st.subheader("What the head would say after each layer", anchor=False)
    if not any(probe.logit_lens_nats is not None for probe in own):
        st.caption("A test skips this reading; a measurement of the case has it.")
        return
    st.caption(
        "Loss in nats per token if the final norm and the head read the stream there. It should fall with depth."
    )
    ruler = None
    if reading.unigram_nats is not None:
        ruler = Ruler(reading.chance_nats, reading.unigram_nats, bigram_nats=reading.bigram_nats)
    draw(charts.logit_lens(own, reference, ruler), "logit-lens")


def draw(figure: object, key: str) -> None:
    """A chart as wide as the page."""
    st.plotly_chart(figure, width="stretch", key=key, config=columns.CHART)


page(session.selection())
