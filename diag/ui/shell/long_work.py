"""Work of seconds inside a page's run: a bar, and a way to stop and to go on."""

from __future__ import annotations

import time
from collections.abc import Hashable

import streamlit as st

from diag.ui.shell import show

_SILENT_SECONDS = 0.3  # what is done by then needs no progress bar
_EVERY_SECONDS = 0.2


class Bar:
    """What a person sees of long work: how far it is, in words too, and a button that stops it. Nothing for the first
    0.3 s. `key` names the work: a stop is remembered under it. `name` tells bars of one page apart."""

    def __init__(self, title: str, key: Hashable, name: str, stop: str = "Stop") -> None:
        self._place = st.empty()
        self._title, self._key, self._name, self._stop = title, key, name, stop
        self._started = self._shown = time.monotonic()
        self._bar: st.delta_generator.DeltaGenerator | None = None

    @property
    def seconds(self) -> float:
        """Since the work began."""
        return time.monotonic() - self._started

    def show(self, share: float | None, text: str, /) -> None:
        """So far it is. Showing it is also where Streamlit ends the run of a person who left or pressed the button."""
        now = time.monotonic()
        if now - self._started < _SILENT_SECONDS or now - self._shown < _EVERY_SECONDS:
            return
        self._shown = now
        if self._bar is None:
            with self._place.container(border=True):
                st.markdown(f"**{show.plain(self._title)}**")
                self._bar = st.progress(0.0)
                st.button(self._stop, on_click=_remember, args=(self._key,), key=f"stop-{self._name}")
        self._bar.progress(min(1.0, max(0.0, share or 0.0)), text=show.plain(text))

    def done(self) -> None:
        """Take it off the page."""
        self._place.empty()


def stopped(key: Hashable, says: str, go_on: str, name: str) -> bool:
    """Whether a person stopped this work; then the page says so and offers to go on."""
    if st.session_state.get("stopped-work") != key:
        return False
    st.info(says)
    st.button(go_on, on_click=_remember, args=(None,), type="primary", key=f"go-on-{name}")
    return True


def _remember(key: Hashable | None) -> None:
    st.session_state["stopped-work"] = key
