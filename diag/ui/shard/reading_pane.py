"""The read-out: any span of the picked shard as text with the ids under it. Its position is part of the link."""

from __future__ import annotations

import streamlit as st

from diag.errors import InputError, one_line
from diag.shards import ShardAudit, Span, TokenDataset, TokenText, read_span
from diag.ui.shard import columns, readout, tables, typeset
from diag.ui.shell import show

LENGTHS = (64, 256, 1024)
DEFAULT_LENGTH = 256


def pane(dataset: TokenDataset, audit: ShardAudit, text: TokenText | None) -> None:
    """Position, length, and steps; the tokens in boxes; the same as text and as a table."""
    st.subheader("Read it", anchor=False)
    last = audit.shard_tokens - 1
    _check_link(last)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        start = int(
            st.number_input(
                "From token",
                min_value=0,
                max_value=last,
                step=DEFAULT_LENGTH,
                key="read",
                bind="query-params",
                width=140,
                help=f"Counted over all files in reading order, from 0 to {last:,}. The link of this page keeps it.",
            )
        )
        length = int(st.selectbox("Tokens", LENGTHS, index=LENGTHS.index(DEFAULT_LENGTH), key="read-length", width=88))
        _step("Back", max(0, start - length), start <= 0)
        _step("On", min(last, start + length), start + length > last)
        run = audit.longest_run
        if run:
            before = sum(shard.tokens for shard in dataset.shards[: run.file])
            _step("Longest run", before + run.position, False)
    with show.guard("This span cannot be read"):
        separator = audit.documents.separator if audit.documents else None
        span = read_span(dataset, start, length, text=text, separator=separator)
        _draw(span, audit.unk_id, text is not None)


def _check_link(last: int) -> None:
    """A position that cannot be is said, before the widget silently drops it."""
    raw = st.query_params.get("read")
    if raw is None or "read" in st.session_state:
        return
    try:
        if not 0 <= int(raw) <= last:
            raise ValueError
    except ValueError:
        says = f"The link asks for token '{one_line(raw, 40)}'."
        show.problem(InputError(says, fix=f"Give a position from 0 to {last:,}."), "This position cannot be read")


def _step(label: str, to: int, disabled: bool) -> None:
    def go() -> None:
        st.session_state["read"] = to

    st.button(label, on_click=go, disabled=disabled, key=f"read-{label}")


def _draw(span: Span, unk_id: int | None, has_text: bool) -> None:
    where = f"Tokens {span.start:,} to {span.stop - 1:,} of {span.tokens:,}, in {show.plain(span.file)}"
    cut = " · the file ends here" if span.stop == span.file_stop else ""
    no_text = "" if has_text else " · pick a checkpoint with a tokenizer to see text"
    st.caption(f"{where}{cut}{no_text}")
    st.html(readout.STYLE)
    st.html(readout.legend(span.items, unk_id, has_text))
    st.html(readout.html(span.items, unk_id, has_text, f"Tokens {span.start:,} to {span.stop - 1:,}"))
    with st.expander("The same to copy, and one token a row"):
        st.code(typeset.ruled(span.items), language=None, height=420 if len(span.items) > 64 else "content")
        show.table(tables.span(span), "span", column_config=columns.SPAN)
