"""Audits of shards for the pages: counted with progress and a way to stop, kept for all sessions of this server.

A count of a folder that was stopped, or whose viewer left, goes on where it was: finished files are on disk.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from diag.case import Window
from diag.catalogue import Entry
from diag.shards import Part, ShardAudit, TokenText, audit_shard, open_shard
from diag.shards.bigram import Bigram, held_out_bigram
from diag.ui import show, summaries
from diag.ui.session import Selection

_KEPT = 8  # audits in memory, about 9 MB each: the table of counts draws the comparison
_SILENT_SECONDS = 0.3  # what is done by then needs no progress bar
_EVERY_SECONDS = 0.2

Key = tuple[str | None, ...]


@dataclass(frozen=True)
class Yard:
    """What the shards of a page are held against: the picked checkpoint's rows and tokenizer, None where there is none,
    and the window. `stamp` is the checkpoint's."""

    rows: int | None
    tokenizer_dir: str | None
    window: Window
    stamp: str = ""


def yard_of(chosen: Selection) -> Yard:
    """From the picked checkpoint, if there is one."""
    window = chosen.case.window if chosen.case else Window()
    if chosen.checkpoint is None:
        return Yard(None, None, window)
    head = summaries.head(*summaries.located(chosen.catalogue, chosen.checkpoint))
    return Yard(head.rows, head.tokenizer_dir, window, chosen.checkpoint.stamp)


@st.cache_resource(max_entries=4, show_spinner=False)
def text_of(tokenizer_dir: str, stamp: str) -> TokenText:
    """The tokenizer, opened once: a second for 150,000 entries."""
    return TokenText.open(Path(tokenizer_dir))


def text(yard: Yard) -> TokenText | None:
    """The picked checkpoint's tokenizer."""
    return text_of(yard.tokenizer_dir, yard.stamp) if yard.tokenizer_dir else None


@st.cache_data(max_entries=64, show_spinner="Learning word pairs on half of the shard, scoring the other half …")
def word_pairs(path: str, stamp: str, size: int) -> Bigram | None:
    """The held-out bigram over `size` entries: about a second."""
    return held_out_bigram(open_shard(Path(path)), size)


def audited(chosen: Selection, entry: Entry, yard: Yard) -> ShardAudit | None:
    """The audit of a shard; None, and a way to go on, when its count was stopped. InputError as audit_shard's."""
    path, stamp = summaries.located(chosen.catalogue, entry)
    key: Key = (path, stamp, str(yard.rows), yard.tokenizer_dir, yard.stamp, str(yard.window))
    kept = _kept().get(key)
    if kept:
        return kept
    if st.session_state.get("stopped-count") == key:
        st.info(f"The count of {show.plain(entry.label)} was stopped. Files that were finished are not read again.")
        st.button("Go on counting", on_click=_stop, args=(None,), type="primary", key=f"go-on-{entry.id}")
        return None
    place = st.empty()
    bar = _Bar(place, entry, key)
    audit = audit_shard(
        open_shard(Path(path)),
        vocab_size=yard.rows,
        text=text(yard),
        window=yard.window,
        cache=chosen.settings.cache_dir / "shards",
        progress=bar.progress,
        on_part=bar.part,
    )
    place.empty()
    _kept().put(key, audit)
    return audit


class _Kept:
    """The last audits, for every session. Locked: sessions are threads."""

    def __init__(self) -> None:
        self._audits: OrderedDict[Key, ShardAudit] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> ShardAudit | None:
        with self._lock:
            if key in self._audits:
                self._audits.move_to_end(key)
            return self._audits.get(key)

    def put(self, key: Key, audit: ShardAudit) -> None:
        with self._lock:
            self._audits[key] = audit
            while len(self._audits) > _KEPT:
                self._audits.popitem(last=False)


@st.cache_resource(show_spinner=False)
def _kept() -> _Kept:
    return _Kept()


class _Bar:
    """What a person sees of a long count: how far it is, what the files say so far, and a way to stop."""

    def __init__(self, place: st.delta_generator.DeltaGenerator, entry: Entry, key: Key) -> None:
        self._place, self._entry, self._key = place, entry, key
        self._started = self._shown = time.monotonic()
        self._bar: st.delta_generator.DeltaGenerator | None = None
        self._found: dict[str, int] = {}

    def part(self, part: Part) -> None:
        """One file is done."""
        self._found[part.status] = self._found.get(part.status, 0) + 1

    def progress(self, done: int, total: int) -> None:
        """So many ids are counted. Showing it is also where Streamlit ends the run of a person who left."""
        now = time.monotonic()
        if now - self._started < _SILENT_SECONDS or now - self._shown < _EVERY_SECONDS:
            return
        self._shown = now
        speed = done / (now - self._started)
        so_far = ", ".join(f"{count:,} {status}" for status, count in self._found.items())
        files = f" · files so far: {so_far}" if so_far else ""
        says = f"{done:,} of {total:,} ids, {speed / 1e6:,.0f} M a second{files}"
        if self._bar is None:
            with self._place.container(border=True):
                st.markdown(f"**Counting every id of {show.plain(self._entry.label)}**")
                self._bar = st.progress(0.0)
                st.button("Stop counting", on_click=_stop, args=(self._key,), key=f"stop-{self._entry.id}")
        self._bar.progress(min(1.0, done / max(1, total)), text=says)


def _stop(key: Key | None) -> None:
    st.session_state["stopped-count"] = key
