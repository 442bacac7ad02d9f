"""`evidence sql`: one SELECT over a copy of the index that reads nothing else, within limits of time, memory, rows."""

from __future__ import annotations

import math
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from diag.errors import InputError, one_line
from diag.evidence.store import copy_index
from diag.evidence.store_tables import VIEWS

MAX_ROWS = 10_000
MAX_CELL_CHARS = 2_000
SECONDS = 5.0
MEMORY = "512MB"

# A file of its own that only this question reads: no other file, no network, no extension, nothing written.
_LOCKED = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "max_temp_directory_size": "0B",
    "threads": "1",
}


@dataclass(frozen=True)
class Answer:
    """The rows of a SELECT. truncated: there are more than MAX_ROWS, or a cell is longer than 2,000 characters."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool
    seconds: float


def select(path: Path, statement: str) -> Answer:
    """Run one SELECT on a snapshot. InputError: it is none, it is wrong, or it takes more than is allowed."""
    _only_a_select(statement)
    began = time.perf_counter()
    try:
        with duckdb.connect(str(path), read_only=True, config={**_LOCKED, "memory_limit": MEMORY}) as con:
            con.execute("SET lock_configuration = true")
            timer = threading.Timer(SECONDS, con.interrupt)
            timer.start()
            try:
                cursor = con.execute(f"SELECT * FROM ({statement.strip().rstrip(';')}\n) LIMIT {MAX_ROWS + 1}")
                names = tuple(column[0] for column in cursor.description or ())
                rows = cursor.fetchall()
            finally:
                timer.cancel()
    except duckdb.InterruptException:
        raise InputError(f"This takes longer than {SECONDS:g} s.", where="the statement", fix="Ask for less.") from None
    except duckdb.OutOfMemoryException:
        raise InputError(f"This takes more than {MEMORY}.", where="the statement", fix="Ask for less.") from None
    except duckdb.Error as error:
        fix = f"The tables are {', '.join(VIEWS)}; docs/evidence.md lists their columns."
        raise InputError(one_line(str(error).split("\n", 1)[0], 300), where="the statement", fix=fix) from None
    shown = [tuple(_plain(cell) for cell in row) for row in rows[:MAX_ROWS]]
    cut = any(isinstance(cell, str) and len(cell) > MAX_CELL_CHARS for row in rows[:MAX_ROWS] for cell in row)
    return Answer(names, tuple(shown), len(rows) > MAX_ROWS or cut, time.perf_counter() - began)


def ask(db_path: Path, statement: str) -> Answer:
    """`select` on a copy of an index file, so that nobody waits for the question. InputError: there is none."""
    _only_a_select(statement)
    with tempfile.TemporaryDirectory(prefix="subrandom-sql-") as folder:
        copy = Path(folder) / "snapshot.duckdb"
        copy_index(db_path, copy)
        return select(copy, statement)


def _only_a_select(statement: str) -> None:
    fix = 'Write one SELECT, for example "SELECT key, number FROM facts LIMIT 10".'
    try:
        found = duckdb.extract_statements(statement)
    except duckdb.Error as error:
        raise InputError(one_line(str(error).split("\n", 1)[0], 300), where="the statement", fix=fix) from None
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise InputError("This is not one SELECT.", where="the statement", fix=fix)


def _plain(cell: Any) -> Any:
    """A cell as JSON holds it: text is cut, dates and the rest become text."""
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else str(cell)
    if cell is None or isinstance(cell, bool | int):
        return cell
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return str(cell)[:MAX_CELL_CHARS]
