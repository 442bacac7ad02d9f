"""Losses about or above chance in the folders that are watched, each a case that one click makes."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from diag.errors import InputError
from diag.evidence.claims import FoundClaim, claim_at
from diag.evidence.raised import Raised, raised
from diag.ui.shell import knowledge, session, show
from diag.ui.shell.session import Selection

SECONDS = 30  # between looks at the folders
SHOWN = 10


def raised_losses(chosen: Selection) -> None:
    """Drawn by itself: the folders are looked at after the rows of the wall were drawn, and again while the page is
    open."""
    st.fragment(_raised, run_every=SECONDS)(chosen)


def case_query(claim: FoundClaim) -> dict[str, str] | None:
    """The case of a claim, as an address; None where its shard or checkpoint is not here."""
    if claim.shard is None or claim.checkpoint is None:
        return None
    return {
        "shard": claim.shard.id,
        "checkpoint": claim.checkpoint.id,
        "claimed_loss": repr(claim.claim.loss),
        "claimed_unit": claim.claim.unit,
        "window": str(session.default_window(claim.checkpoint.id)),
    }


def _raised(chosen: Selection) -> None:
    found = knowledge.kept(chosen.settings, "raised", raised, session.catalogue(chosen.settings))
    if not found:
        return
    with st.container(border=True):
        st.markdown(
            f"**{len(found)} {'run prints' if len(found) == 1 else 'runs print'} a loss about or above chance**"
        )
        for one in found[:SHOWN]:
            _line(chosen, one)
        if len(found) > SHOWN:
            st.caption(f"And {len(found) - SHOWN} more: they are on the timeline of the evidence page.")


def _line(chosen: Selection, one: Raised) -> None:
    fact = one.fact
    against = (
        f"chance is {one.chance_nats:.2f} nats" if one.chance_nats else "above the chance of any vocabulary in use"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(show.plain(f"{one.run}: {fact.key} = {fact.raw}, {against}"))
        place = {"doc": fact.file, "line": str(fact.line), "digest": fact.digest[:16]}
        show.link("evidence", f"Line {fact.line}", place, ":material/description:")
        try:
            claim = claim_at(Path(fact.path), fact.line, chosen.catalogue)
        except InputError:
            return
        if case := case_query(claim):
            show.link("case", f"Make a case of {claim.raw} {claim.claim.unit}", case, ":material/add_task:")
