"""`evidence facts`, `conflicts`, `ledger` and `sql`: what is asked of the index, and how a terminal shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.text import Text

from diag.errors import one_line
from diag.evidence.index import Connection, asked, index_path, sync_and_query
from diag.evidence.known_facts import Filter, facts, left_out
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


def unit_words(unit: str | None, source: str) -> str:
    """`nats (convention)`."""
    if unit is None:
        return "not stated"
    return unit if source == "stated" else f"{unit} ({source})"
