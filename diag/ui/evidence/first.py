"""The search and the newest records as the page is served, before the index of everything else was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from diag.evidence.index import RecordRow
from diag.report import numbers
from diag.report.look import look, said
from diag.ui.evidence import filters, view
from diag.ui.shell import knowledge
from diag.ui.shell.session import CASE_KEYS, Selection
from diag.ui.shell.show import plain

MAX_RECORDS = 20


def inside(chosen: Selection, address: Mapping[str, str]) -> str:
    """HTML; "" without a record, and where something is asked for: that the page answers."""
    rows = knowledge.record_rows(chosen.settings)
    if not rows or not set(address) <= set(CASE_KEYS):
        return ""
    told = "".join(f"<li>{_told(row)}</li>" for row in rows[:MAX_RECORDS])
    more = f" The newest {MAX_RECORDS}." if len(rows) > MAX_RECORDS else ""
    count = f"{len(rows):,} record{'s' if len(rows) > 1 else ''}, newest first.{more}"
    return (
        f'<h1>{view.QUESTION}</h1><form class="first-search"><label for="first-q">{filters.SEARCH}</label>'
        '<input id="first-q" name="q"></form><div class="first-views"></div><h2>Records</h2>'
        f'<div class="first-filters"></div><p class="first-small">{plain(count)}</p>'
        f'<div class="first-card"><ul>{told}</ul></div>'
    )


def _told(row: RecordRow) -> str:
    word = row.conclusion or row.zone or row.kind
    of, loss, made = look(word), f", {numbers.nats(row.loss_nats)}", row.created[:16].replace("T", " ")
    return (
        f'<a href="./r/{escape(row.id)}">{plain(row.checkpoint)}</a>: <span class="sw-{of.tone}">{of.mark} '
        f'{plain(said(word))}</span>{plain(loss)} <span class="first-small">{plain(made)} UTC</span>'
    )
