"""Audits of shards for the pages: counted with progress and a way to stop, kept for all sessions of this server.

A count of a folder that was stopped, or whose viewer left, goes on where it was: finished files are on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from diag.case import Window
from diag.catalogue import Entry, other_tokenizers
from diag.checkpoints import open_checkpoint
from diag.jobs.inputs import embedding_rows as rows_of
from diag.jobs.inputs import tokenizer_of
from diag.kept import Kept
from diag.results.ruler import Loss
from diag.shards import Part, ShardAudit, TokenDataset, TokenText, audit_shard, open_shard
from diag.ui.shell import contents, knowledge, show
from diag.ui.shell.long_work import Bar, stopped
from diag.ui.shell.results import results
from diag.ui.shell.session import Selection

_KEPT = 8  # audits in memory, about 9 MB each: the table of counts draws the comparison

Key = tuple[str | None, ...]


@st.cache_resource(max_entries=4, show_spinner=False)
def text_of(tokenizer_dir: str, stamp: str) -> TokenText:
    """The tokenizer, opened once: a second for 150,000 entries."""
    return TokenText.open(Path(tokenizer_dir))


def text(chosen: Selection) -> TokenText | None:
    """The picked checkpoint's tokenizer, None without one."""
    head = _head(chosen)
    if head is None or head.tokenizer_dir is None or chosen.checkpoint is None:
        return None
    return text_of(head.tokenizer_dir, chosen.checkpoint.stamp)


@st.cache_resource(max_entries=_KEPT, show_spinner=False)
def _opened(path: str, stamp: str, vocab_size: int | None) -> TokenDataset:
    return open_shard(Path(path), vocab_size=vocab_size)


def dataset(chosen: Selection, entry: Entry, audit: ShardAudit) -> TokenDataset:
    """The ids of an audited shard, opened once while its files stay the same: up to 0.2 s where nothing states how they
    are stored."""
    return _opened(*contents.located(chosen.catalogue, entry), audit.vocab_size)


def embedding_rows(chosen: Selection) -> int | None:
    """The rows of the picked checkpoint's embedding, which the ids are checked against; None without a checkpoint."""
    head = _head(chosen)
    return head.rows if head else None


@dataclass(frozen=True)
class Head:
    """What a checkpoint's header says: the embedding's rows (None for an architecture that is not known), and the
    folder of its tokenizer if there is one that can be used."""

    rows: int | None
    tokenizer_dir: str | None


def _head(chosen: Selection) -> Head | None:
    if chosen.checkpoint is None:
        return None
    return head(*contents.located(chosen.catalogue, chosen.checkpoint))


@st.cache_data(max_entries=64, show_spinner=False)
def head(path: str, stamp: str) -> Head:
    """The header of a checkpoint: milliseconds."""
    checkpoint = open_checkpoint(Path(path))
    folder = checkpoint.tokenizer_dir
    # A tokenizer that cannot be used is none, as it is when a case is tested.
    usable = str(folder) if folder and tokenizer_of(checkpoint) else None
    return Head(rows_of(checkpoint) if checkpoint.model else None, usable)


def measured_loss(chosen: Selection) -> Loss | None:
    """What the newest record says the picked checkpoint loses on the picked window; None where none names the two, so
    that no file is read to find that out."""
    case = chosen.case
    if chosen.record is None:
        named = {(row.shard, row.checkpoint) for row in knowledge.record_rows(chosen.settings)}
        if case is None or (case.shard, case.checkpoint) not in named:
            return None
    loaded = results(chosen).loaded
    return loaded.baseline.loss if loaded else None


def audited(chosen: Selection, entry: Entry) -> ShardAudit | None:
    """The audit of a shard against the picked checkpoint and window. None, and a button to go on, when its count was
    stopped. InputError as audit_shard's."""
    path, stamp = contents.located(chosen.catalogue, entry)
    head = _head(chosen)
    rows, folder = (head.rows, head.tokenizer_dir) if head else (None, None)
    window = chosen.case.window if chosen.case else Window()
    checkpoint_stamp = chosen.checkpoint.stamp if chosen.checkpoint else ""
    key: Key = (path, stamp, str(rows), folder, checkpoint_stamp, str(window))
    kept = _kept().get(key)
    if kept:
        return kept
    says = f"The count of {show.plain(entry.label)} was stopped. Files that were finished are not read again."
    if stopped(key, says, "Go on counting", entry.id):
        return None
    bar = Bar(f"Counting every id of {entry.label}", key, entry.id, "Stop counting")
    dataset = open_shard(Path(path), vocab_size=rows)
    count, tokenizer = _Count(bar, dataset.tokens), text(chosen)
    audit = audit_shard(
        dataset,
        vocab_size=rows,
        text=tokenizer,
        window=window,
        bigram=True,
        cache=chosen.settings.cache_dir / "shards",
        progress=count.progress,
        on_part=count.part,
        others=other_tokenizers(chosen.catalogue, tokenizer),
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
