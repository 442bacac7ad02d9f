"""Audits of shards for the pages: counted with progress and a way to stop, kept for all sessions of this server.

A count of a folder that was stopped, or whose viewer left, goes on where it was: finished files are on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from diag.case import Window
from diag.catalogue import Entry
from diag.shards import Part, ShardAudit, TokenText, audit_shard, open_shard
from diag.shards.figures.bigram import Bigram, held_out_bigram
from diag.ui.shell import show, summaries
from diag.ui.shell.long_work import Bar, Kept, stopped
from diag.ui.shell.session import Selection

_KEPT = 8  # audits in memory, about 9 MB each: the table of counts draws the comparison

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


@st.cache_data(max_entries=64, show_spinner="Learning the bigram on half of the shard, scoring the other half …")
def held_out(path: str, stamp: str, size: int) -> Bigram | None:
    """The held-out bigram over `size` entries: about a second."""
    return held_out_bigram(open_shard(Path(path)), size)


def audited(chosen: Selection, entry: Entry, yard: Yard) -> ShardAudit | None:
    """The audit of a shard; None, and a way to go on, when its count was stopped. InputError as audit_shard's."""
    path, stamp = summaries.located(chosen.catalogue, entry)
    key: Key = (path, stamp, str(yard.rows), yard.tokenizer_dir, yard.stamp, str(yard.window))
    kept = _kept().get(key)
    if kept:
        return kept
    says = f"The count of {show.plain(entry.label)} was stopped. Files that were finished are not read again."
    if stopped(key, says, "Go on counting", entry.id):
        return None
    bar = Bar(f"Counting every id of {entry.label}", key, entry.id, "Stop counting")
    shard = open_shard(Path(path), vocab_size=yard.rows)
    count = _Count(bar, shard.tokens)
    audit = audit_shard(
        shard,
        vocab_size=yard.rows,
        text=text(yard),
        window=yard.window,
        cache=chosen.settings.cache_dir / "shards",
        progress=count.progress,
        on_part=count.part,
    )
    bar.done()
    _kept().put(key, audit)
    return audit


@st.cache_resource(show_spinner=False)
def _kept() -> Kept[Key, ShardAudit]:
    return Kept(_KEPT)


class _Count:
    """A count as the bar tells it: how many ids a second, and what the finished files say so far."""

    def __init__(self, bar: Bar, tokens: int) -> None:
        self._bar, self._tokens = bar, tokens
        self._found: dict[str, int] = {}

    def part(self, part: Part) -> None:
        """One file is done."""
        self._found[part.status] = self._found.get(part.status, 0) + 1

    def progress(self, fraction: float | None, text: str, /) -> None:
        """Such a share of the ids is counted."""
        speed = (fraction or 0.0) * self._tokens / max(self._bar.seconds, 1e-9)
        so_far = ", ".join(f"{count:,} {status}" for status, count in self._found.items())
        files = f" · files so far: {so_far}" if so_far else ""
        self._bar.show(fraction, f"{text}, {speed / 1e6:,.0f} M a second{files}")
