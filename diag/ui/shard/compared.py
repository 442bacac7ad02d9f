"""A second shard beside the first: its picker, whose choice is part of the link, and the two compared."""

from __future__ import annotations

import streamlit as st

from diag.catalogue import Entry
from diag.errors import InputError, one_line
from diag.shards import TokenText, compare_shards
from diag.ui.shard import audits, columns, tables
from diag.ui.shard.view import Named, label
from diag.ui.shell import show
from diag.ui.shell.session import Selection


def pick(chosen: Selection, shard: Entry) -> Named | None:
    """The picker of a second shard, and its audit; the choice is part of the link."""
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
        help="Puts another shard beside this one: a broken corpus beside the repaired one, for instance.",
    )
    if not picked:
        return None
    other = chosen.catalogue.get("shard", picked)
    with show.guard(f"The other shard, {show.plain(other.label)}, cannot be judged"):
        found = audits.audited(chosen, other)
        return (label(other, [shard, *others]), found) if found else None
    return None


def comparison(here: Named, there: Named, text: TokenText | None) -> None:
    """Two shards in one table, then the ids that moved."""
    found = compare_shards(here[1], there[1], text)
    names = (here[0], there[0])
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
