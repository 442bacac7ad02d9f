"""What a page says when there is nothing to show yet: always with the next step."""

from __future__ import annotations

import streamlit as st

from diag.installation import CHECKOUT
from diag.settings import DEMO_ROOT
from diag.ui.shell import knowledge
from diag.ui.shell.session import Selection

DEMO = "make demo" if CHECKOUT else "subrandom demo"
START = (
    'make app ROOTS="/data/runs /data/corpus"' if CHECKOUT else "subrandom app --root /data/runs --root /data/corpus"
)
OWN_FILES = (
    'Your own files: write `roots = ["/data/runs"]` into `subrandom.toml`, or set `SUBRANDOM_ROOTS`, or start with '
    f"`{START}`; then press Rescan."
)


def nothing_picked(chosen: Selection) -> None:
    """No shard or no checkpoint was found anywhere."""
    missing = " and no ".join(word for word in ("shard", "checkpoint") if not chosen.catalogue.of(word))
    st.info(
        f"There is no {missing or 'case'} to look at yet.\n\n"
        f"Build the demo, which takes some seconds: `{DEMO}`; then press Rescan in the sidebar.\n\n{OWN_FILES}",
        icon=":material/inbox:",
    )


HELLO = "**Subrandom finds out why a checkpoint that loads without an error predicts worse than chance.**\n\n"
ON_CASE = (
    "Pick a token shard and a checkpoint on the left.\n\n"
    "Press *Test every hypothesis*: the verdict, the repair that proves it and a permanent link appear here."
)
ON_WALL = (
    "Every checkpoint under the roots is a row, and the files are being read.\n\n"
    "Press *Test* in a row, or select several: the verdict and its cause appear there, and the proof behind its name."
)


def first_visit(chosen: Selection, steps: str = ON_CASE) -> None:
    """What this is and what to press, in three lines, for whoever has no record yet."""
    if knowledge.record_rows(chosen.settings):
        return
    st.info(
        HELLO + steps,
        icon=":material/waving_hand:",
    )


def add_your_own(chosen: Selection) -> None:
    """One line for a person who sees only the demo."""
    if all(root.name == DEMO_ROOT for root in chosen.settings.roots):
        st.caption(OWN_FILES)


def frozen(sentence: str) -> None:
    """Says that what follows is a record and not a live view."""
    st.info(sentence, icon=":material/lock:")
