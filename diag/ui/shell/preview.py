"""What the files of a case say at once, before any forward pass: data, tie, signatures. Cached by the files' states."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import streamlit as st

from diag.catalogue import Entry, other_tokenizers
from diag.checkpoints import open_checkpoint, tie_status
from diag.hypotheses.base import Context
from diag.hypotheses.registry import by_id
from diag.jobs.inputs import open_inputs
from diag.results.baseline import Check
from diag.results.finding import Signature
from diag.results.ruler import Ruler
from diag.ui.shell.session import Selection

Stamp = tuple[str, str]


@dataclass(frozen=True)
class Preview:
    """The marks of the ruler and the two checks. `ruler` is None while ids of the window have no embedding row."""

    ruler: Ruler | None
    chance_nats: float
    data: Check
    tie: Check
    tokens: int
    notes: tuple[str, ...]


def preview(chosen: Selection) -> Preview:
    """Data check, tie check and ruler. One pass over the shard, one over the head and embedding; then from memory."""
    assert chosen.case and chosen.shard and chosen.checkpoint
    return _preview(str(chosen.case.window), _stamp(chosen.shard), _stamp(chosen.checkpoint), chosen)


def signature(id: str, chosen: Selection) -> Signature | None:
    """What the files say about one hypothesis; None where the architecture has no such part."""
    assert chosen.checkpoint
    return _signature(id, _stamp(chosen.checkpoint), _stamp(chosen.reference) if chosen.reference else None, chosen)


def _stamp(entry: Entry) -> Stamp:
    return str(entry.path), entry.stamp


@st.cache_data(max_entries=64, show_spinner="Counting the shard's ids …")
def _preview(window: str, shard: Stamp, checkpoint: Stamp, _chosen: Selection) -> Preview:
    case = _chosen.case
    assert case
    found = _chosen.catalogue
    inputs = open_inputs(replace(case, reference=None), found.resolve, partial(other_tokenizers, found))
    tie = tie_status(inputs.checkpoint)
    return Preview(
        ruler=inputs.ruler(None) if inputs.readable else None,
        chance_nats=inputs.chance_nats,
        data=inputs.data_check,
        tie=Check(tie.status, tie.sentence),
        tokens=inputs.window.tokens,
        notes=inputs.notes,
    )


@st.cache_data(max_entries=256, show_spinner="Reading the checkpoint …")
def _signature(id: str, checkpoint: Stamp, reference: Stamp | None, _chosen: Selection) -> Signature | None:
    context = _context(checkpoint, reference, _chosen)
    hypothesis = by_id(id)
    return hypothesis.signature(context) if hypothesis.applies(context) else None


# The hypotheses share one context, so that the file is read once for all of them; it holds statistics, no weights.
@st.cache_resource(max_entries=4, show_spinner=False)
def _context(checkpoint: Stamp, reference: Stamp | None, _chosen: Selection) -> Context:
    def path(entry: Entry | None) -> Path:
        assert entry
        return _chosen.catalogue.resolve("checkpoint", entry.id)

    theirs = open_checkpoint(path(_chosen.reference)) if reference else None
    return Context(open_checkpoint(path(_chosen.checkpoint)), theirs)
