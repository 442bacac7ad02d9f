"""Where does the signal break? Norms of the stream and of what each layer adds to it, beside the reference's."""

from collections.abc import Sequence

import streamlit as st

from diag.evidence.records import Record
from diag.results.baseline import BaselineResult, LayerProbe
from diag.results.ruler import Ruler
from diag.ui import charts
from diag.ui.activations import layers
from diag.ui.shell import columns, empty, frozen, results, run, session, show, tables, words
from diag.ui.shell.session import Selection


def page(chosen: Selection) -> None:
    """The newest measurement of the case, or how to get one."""
    st.title("Where does the signal break?", anchor=False)
    if chosen.case is None:
        empty.nothing_picked(chosen)
        return
    known = results.results(chosen)
    record = known.loaded
    found = record.baseline if record else None
    own = found.measurement.layers if found and found.measurement else ()
    if chosen.record:
        frozen.banner(chosen.record)
    else:
        run.panel(chosen, "measure", everything=True)
    if record and found and own:
        signal(own, found, record, chosen, known.other_content)
    else:
        nothing_measured(chosen, found)
    if not chosen.record:
        label = "Measure again" if own else "Measure the layers"
        run.button(chosen, label, "measure", main=not own, help="One forward pass, and one of the reference.")


def nothing_measured(chosen: Selection, found: BaselineResult | None) -> None:
    """Why there is nothing to draw."""
    if chosen.record:
        st.info("This record holds no layers. Leave it in the sidebar to measure the case now.")
    elif found:
        st.info("No forward pass was possible: the window holds ids without an embedding row. See the shard page.")
    else:
        st.info("No layer of this case has been measured yet: one forward pass, seconds on the demo.")


def signal(own: Sequence[LayerProbe], found: BaselineResult, record: Record, chosen: Selection, changed: str) -> None:
    """The sentence, the norms, the shares, the lens, the table."""
    reference = found.reference.layers if found.reference else ()
    suspect = layers.first_suspect(own, reference)
    show.badge("ok" if suspect.layer is None else f"layer {suspect.layer}")
    st.markdown(f"**{show.plain(suspect.sentence)}**")
    show.warnings((changed,) if changed else ())
    if not reference:
        st.caption("No reference was measured. With one, each layer is held against the same layer of a sound model.")
    st.subheader("What flows, and what each layer adds", anchor=False)
    st.caption("Root mean square over tokens and channels, in the units of the hidden state.")
    draw(charts.layers(own, reference), "layers")
    st.subheader("How much of the stream each update is", anchor=False)
    st.caption("Norm of the update over the norm of the stream it is added to. 0: the block does nothing.")
    draw(charts.shares(own, reference), "shares")
    lens(own, reference, found.ruler)
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


def lens(own: Sequence[LayerProbe], reference: Sequence[LayerProbe], ruler: Ruler) -> None:
    """The loss read off after each layer, where it was measured."""
    st.subheader("What the head would say after each layer", anchor=False)
    if not any(probe.logit_lens_nats is not None for probe in own):
        st.caption("A test skips this reading; a measurement of the case has it.")
        return
    st.caption(
        "Loss in nats per token if the final norm and the head read the stream there. It should fall with depth."
    )
    draw(charts.logit_lens(own, reference, ruler if ruler.unigram_nats is not None else None), "logit-lens")


def draw(figure: object, key: str) -> None:
    """A chart as wide as the page."""
    st.plotly_chart(figure, width="stretch", key=key, config=columns.CHART)


page(session.selection())
