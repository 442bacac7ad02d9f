"""`evidence facts`, `conflicts`, `ledger` and `sql`: what is asked of the index, and how a terminal shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.text import Text

from diag.errors import one_line
from diag.evidence import query
from diag.evidence.conflicts.table import conflicts
from diag.evidence.index import Connection, asked, index_path, sync_and_query
from diag.evidence.known_facts import Filter, facts, left_out, unit_words
from diag.evidence.ledger import ledger
from diag.report import terminal
from diag.results import codec
from diag.settings import load_settings

T = TypeVar("T")
SHOWN = 200


def ask(db: Path | None, work: Callable[[Connection], T]) -> T:
    """`work` on the index; it is brought up to date first unless a file of it is named."""
    if db:
        return asked(db, work)
    settings = load_settings()
    return sync_and_query(settings, index_path(settings), work)[0]


def run_facts(key: str | None, run: str | None, db: Path | None) -> dict[str, Any]:
    """`evidence facts --json`."""
    began = time.perf_counter()
    found, out = ask(db, lambda con: (facts(con, Filter(key=key, run=run)), left_out(con)))
    answer: dict[str, Any] = codec.plain({"facts": found, "left_out": out, "seconds": time.perf_counter() - began})
    return answer


def draw_facts(console: Console, value: dict[str, Any]) -> None:
    """Facts with their citations, then what was left out."""
    rows = [
        (
            f"{fact['file']}:{fact['line']}",
            one_line(fact["key"], 60),
            one_line(fact["raw"], 40),
            unit_words(fact["unit"], fact["unit_source"]) if fact["number"] is not None else "",
            fact["status"] or "",
            one_line(fact["run"], 50),
        )
        for fact in value["facts"][:SHOWN]
    ]
    console.print(terminal.table(("where", "key", "value", "unit", "status", "run"), rows))
    more = len(value["facts"]) - len(rows)
    console.print(Text(f"{len(value['facts'])} facts" + (f"; {more} more with --json" if more else "")))
    for item in value["left_out"][:20]:
        console.print(Text(f"left out: {one_line(item['path'], 120)}: {one_line(item['reason'], 160)}"))
    more = len(value["left_out"]) - 20
    if more > 0:
        console.print(Text(f"left out: {more} more with --json"))


def run_conflicts(db: Path | None) -> dict[str, Any]:
    """`evidence conflicts --json`."""
    answer: dict[str, Any] = codec.plain({"conflicts": ask(db, conflicts)})
    return answer


def draw_conflicts(console: Console, value: dict[str, Any]) -> None:
    """Each with both places."""
    for found in value["conflicts"]:
        console.print(Text(f"{found['kind']}: {one_line(found['key'], 80)}", style="bold"))
        console.print(Text(f"  {one_line(found['text'], 400)}"))
        for place in (found["a"], found["b"]):
            if place:
                console.print(Text(f"  {place['file'] or place['path']}:{place['line']}  {one_line(place['raw'], 80)}"))
    console.print(Text(f"{len(value['conflicts'])} contradictions and traps"))


def run_ledger(identifier: str, db: Path | None) -> dict[str, Any]:
    """`evidence ledger --json`."""
    answer: dict[str, Any] = codec.plain({"entries": ask(db, lambda con: ledger(con, identifier))})
    return answer


def draw_ledger(console: Console, value: dict[str, Any]) -> None:
    """Each identifier with its states by date."""
    for entry in value["entries"]:
        also = f"  also {', '.join(entry['aliases'])}" if entry["aliases"] else ""
        console.print(Text(f"{entry['identifier']}{also}", style="bold"))
        for stated in entry["history"]:
            console.print(
                Text(f"  {stated['date'] or 'no date':<10}  {stated['status']}  {stated['file']}:{stated['line']}")
            )
    console.print(Text(f"{len(value['entries'])} identifiers"))


def run_sql(statement: str, db: Path | None) -> dict[str, Any]:
    """`evidence sql --json`."""
    if db is None:
        settings = load_settings()
        db = index_path(settings)
        sync_and_query(settings, db, lambda con: None)
    answer: dict[str, Any] = codec.plain(query.ask(db, statement))
    return answer


def draw_sql(console: Console, value: dict[str, Any]) -> None:
    """Columns and rows."""
    rows = [tuple("" if cell is None else one_line(str(cell), 120) for cell in row) for row in value["rows"]]
    console.print(terminal.table(tuple(value["columns"]), rows))
    console.print(Text(f"{len(rows)} rows" + ("; not all: the answer is cut" if value["truncated"] else "")))
