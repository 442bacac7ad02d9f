"""What the records and the evidence folders say, asked through the index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diag.evidence.index import Hit, consult, index_path, records_table, search
from diag.settings import Settings


@dataclass(frozen=True)
class Known:
    """What the index answered: all records, newest first, the hits of a query, and its problems in sentences."""

    records: list[dict[str, Any]]
    hits: list[Hit]
    documents: int
    problems: tuple[str, ...]
    seconds: float


def known(settings: Settings, query: str = "", limit: int = 30) -> Known:
    """Bring the index up to date and ask it: all records, and the places that answer `query`. Not cached: a record
    written a second ago must be there, and unchanged files are not opened."""
    (records, hits), report = consult(
        settings,
        index_path(settings),
        lambda con: (records_table(con), search(query, con, limit) if query.strip() else []),
    )
    return Known(records, hits, report.documents, report.notes, report.seconds)
