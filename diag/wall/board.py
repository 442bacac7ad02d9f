"""The wall for those who are not here: a table in Markdown or HTML, the cases in its order, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from diag.report import numbers
from diag.report.look import said
from diag.report.markdown import table_lines
from diag.report.parts import Cell, Table, Word
from diag.share.html import document
from diag.share.html import table as html_table
from diag.wall.rows import Row

HEAD = ("checkpoint", "family", "verdict", "loss (nats)", "repaired (nats)", "cause", "decision", "owner", "record")
NUMERIC = (3, 4)
MAX_CELL = 120


def board_markdown(rows: Sequence[Row], base_url: str | None = None) -> str:
    """A heading and a table; of every case what a meeting's notes need. Text from files is escaped."""
    table = _table(rows, base_url)
    return "\n".join([f"### Subrandom board, {_now()}", "", *table_lines(table, MAX_CELL), ""])


def board_html(rows: Sequence[Row], title: str, base_url: str | None = None) -> str:
    """One page of the same table, which loads nothing."""
    return document(f"{title}, {_now()}", f"<h1>{title}</h1><p>{_now()}</p>{html_table(_table(rows, base_url))}")


def _table(rows: Sequence[Row], base_url: str | None) -> Table:
    return Table(HEAD, tuple(_line(row, base_url) for row in rows), NUMERIC)


def _line(row: Row, base_url: str | None) -> tuple[Cell, ...]:
    newest, decision = row.newest, row.decision
    note = f": {decision.note}" if decision and decision.note else ""
    record = numbers.NOTHING if newest is None else f"{base_url}/r/{newest.id}" if base_url else newest.id
    return (
        row.name,
        (row.look.family if row.look else "") or numbers.NOTHING,
        Word(row.word) if newest else said(row.word),
        numbers.number(newest.loss_nats) if newest else numbers.NOTHING,
        numbers.number(newest.repaired_nats) if newest else numbers.NOTHING,
        (newest.cause if newest else "") or numbers.NOTHING,
        f"{decision.words}{note}, {decision.at[:10]}" if decision else numbers.NOTHING,
        row.owner or numbers.NOTHING,
        record,
    )


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
