"""A second shard beside the first: its picker, whose choice is part of the link, and the two compared."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from diag.catalogue import Entry
from diag.errors import InputError, one_line
from diag.shards import ShardAudit, TokenDataset, TokenText, compare_shards
from diag.shards.figures.duplicates import Overlap
from diag.ui.shard import audits, columns, places, tables
from diag.ui.shard.view import Named, label
from diag.ui.shell import show
from diag.ui.shell.session import Selection


@dataclass(frozen=True)
class Side:
    """One of two shards: what it is called on charts, what was counted, and the ids themselves."""

    entry: Entry
    name: str
    audit: ShardAudit
    dataset: TokenDataset

    @property
    def named(self) -> Named:
        """For a chart."""
        return self.name, self.audit


def pick(chosen: Selection, here: Side) -> Side | None:
    """The picker of a second shard, and its audit; the choice is part of the link."""
    shard = here.entry
    others = [entry for entry in chosen.catalogue.of("shard") if entry.id != shard.id]
    asked = st.query_params.get("compare", "")
    if asked and all(entry.id != asked for entry in others):
        says = f"The link compares with '{one_line(asked, 80)}', which is not another shard under the roots."
        show.problem(InputError(says, fix="Pick one below."))
    picked = st.selectbox(
        "Compare with",
        ["", *(entry.id for entry in others)],
        key="compare",
        bind="query-params",
        placeholder="no other shard",
        help="How much of one stands in the other (train in validation), and which ids moved.",
    )
    if not picked:
        return None
    other = chosen.catalogue.get("shard", picked)
    with show.guard(f"The other shard, {show.plain(other.label)}, cannot be judged"):
        found = audits.audited(chosen, other)
        if found is None:
            return None
        dataset = audits.dataset(chosen, other, found)
        return Side(other, label(other, [shard, *others]), found, dataset)
    return None


def shared_places(found: Overlap | None, here: Side, there: Side) -> None:
    """Where text of one stands in the other."""
    if found and found.places:
        turned = places.open_there(here.entry, there.entry)
        places.shared(
            found,
            places.Reader(here.dataset, "", places.open_here),
            places.Reader(there.dataset, there.name, turned),
        )


def comparison(here: Side, there: Side, text: TokenText | None) -> None:
    """Two shards in one table, then the ids that moved."""
    with st.expander(
        f"{show.plain(here.name)} beside {show.plain(there.name)}: every metric, and which ids moved",
        expanded=True,
        icon=":material/compare_arrows:",
    ):
        _compared(here, there, text)


def _compared(here: Side, there: Side, text: TokenText | None) -> None:
    found = compare_shards(here.audit, there.audit, text)
    names = (here.name, there.name)
    st.markdown("**Whole shard against whole shard**")
    show.table(tables.side_by_side(found.rows, *names), "comparison", column_config=columns.BESIDE, height="content")
    if found.window_rows:
        st.markdown("**The windows a trainer validates on**")
        show.table(
            tables.side_by_side(found.window_rows, *names),
            "window-comparison",
            column_config=columns.BESIDE,
            height="content",
        )
    drift = found.drift
    st.markdown("**Which ids moved**")
    st.write(
        f"The two differ by {drift.js_bits:.4f} bits (Jensen-Shannon: 0 equal, 1 nothing in common); sampling alone "
        f"explains about {drift.expected_js_bits:.4f}. Ids that occur only in {show.plain(names[0])}: "
        f"{drift.only_here:,}; only in {show.plain(names[1])}: {drift.only_there:,}."
    )
    left, right = st.columns(2)
    with left:
        st.caption(f"Largest gains from {show.plain(names[0])} to {show.plain(names[1])}")
        show.table(tables.moved(drift.gains), "gains", column_config=columns.moved(*names))
    with right:
        st.caption(f"Largest losses from {show.plain(names[0])} to {show.plain(names[1])}")
        show.table(tables.moved(drift.losses), "losses", column_config=columns.moved(*names))
