"""Where text stands twice, in one shard or in two: buttons that open the read-out there, and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from diag.catalogue import Entry
from diag.report import numbers
from diag.results.thresholds_shards import SHARED_PASSAGES
from diag.shards import ShardAudit, TokenDataset
from diag.shards.figures.duplicates import Overlap, Place
from diag.ui.shard import columns, tables
from diag.ui.shell import show


@dataclass(frozen=True)
class Reader:
    """A shard whose places can be opened: `go` shows it from a position in the whole shard on."""

    dataset: TokenDataset
    name: str
    go: Callable[[int], None]

    def position(self, file: str, position: int) -> int | None:
        """In the whole shard; None where several files have that name."""
        names = [shard.path.name for shard in self.dataset.shards]
        if names.count(file) != 1:
            return None
        return sum(shard.tokens for shard in self.dataset.shards[: names.index(file)]) + position


def open_here(position: int) -> None:
    """The read-out of the picked shard."""
    st.session_state["read"] = position


def open_there(shard: Entry, other: Entry) -> Callable[[int], None]:
    """Turns the page round: the other shard is picked, and this one is what it is compared with."""

    def go(position: int) -> None:
        state = st.session_state
        state["record"] = None
        state["case"] = replace(state["case"], shard=other.id)
        state["compare"], state["read"] = shard.id, position

    return go


def twice(audit: ShardAudit, dataset: TokenDataset) -> None:
    """Places of repeated windows of one shard."""
    found = audit.duplicates
    if found is None or not found.places:
        return
    alarm = any(reason.code in ("duplicate_windows", "identical_files") for reason in audit.reasons)
    with st.expander("Text that stands twice: read both", expanded=alarm, icon=":material/content_copy:"):
        reader = Reader(dataset, "", open_here)
        _buttons(found.places, reader, reader, "duplicates")


def overlap(found: Overlap | None, here: str, there: str) -> None:
    """How much of each shard stands in the other, in both directions."""
    if found is None:
        st.caption("How much of one stands in the other is not judged: too few windows of 32 ids could be sampled.")
        return
    with st.container(horizontal=True, gap="small"):
        for share, n, one, other in (
            (found.of_this_in_other, found.windows[0], here, there),
            (found.of_other_in_this, found.windows[1], there, here),
        ):
            st.metric(
                f"Of {show.plain(one)}, stands in {show.plain(other)}",
                numbers.percent(share, 2),
                delta=f"of {n:,} sampled windows",
                delta_color="off",
                delta_arrow="off",
                border=True,
                help="A train set that holds its validation set shows here. Windows of 32 ids, wherever they lie.",
            )


def shared(found: Overlap, here: Reader, there: Reader) -> None:
    """Places of two shards that hold the same text."""
    much = (found.copied or 0.0) > SHARED_PASSAGES.value
    with st.expander("Text that stands in both shards: read both", expanded=much, icon=":material/content_copy:"):
        _buttons(found.places, here, there, "overlap")


def all_tables(audit: ShardAudit, found: Overlap | None) -> None:
    """The same places, and the files that share most, to take away."""
    twice = audit.duplicates
    if not (twice and twice.places) and not (found and found.places):
        return
    with st.expander("Where text stands twice, as tables", icon=":material/table_rows:"):
        for title, places, name in (
            ("In this shard", twice.places if twice else (), "duplicate-places"),
            ("In both shards", found.places if found else (), "overlap-places"),
        ):
            if places:
                st.markdown(f"**{title}**")
                show.table(tables.places(places), name, column_config=columns.PLACES, height="content")
        if twice and twice.between_files:
            st.markdown("**Files that share text**")
            show.table(tables.between(twice.between_files), "files-that-share", column_config=columns.BETWEEN)


def _buttons(places: Sequence[Place], here: Reader, there: Reader, name: str) -> None:
    st.caption("Some of the places. A button opens the read-out there.")
    with st.container(gap=None):
        for number, place in enumerate(places):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                _button(here, place.file, place.position, f"{name}-{number}-a")
                st.markdown("=", width="content")
                _button(there, place.other_file, place.other_position, f"{name}-{number}-b")


def _button(reader: Reader, file: str, position: int, key: str) -> None:
    at = reader.position(file, position)
    label = f"{reader.name} · {file}" if reader.name else file
    st.button(
        f"{show.plain(label)} from {position:,}",
        key=key,
        on_click=reader.go,
        args=(at,),
        disabled=at is None,
        type="tertiary",
        icon=":material/menu_book:",
    )
