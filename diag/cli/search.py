"""The `evidence search` command: what answers a query, and how a terminal shows it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from diag.errors import one_line
from diag.evidence.index import index_path, search, sync_and_query
from diag.results import codec
from diag.settings import load_settings


def run(query: str, db: Path | None) -> dict[str, Any]:
    """`evidence search --json`; the index is brought up to date first unless a file of it is named."""
    started = time.perf_counter()
    settings = load_settings()
    if db:
        hits = search(query, db)
    else:
        hits, _ = sync_and_query(settings, index_path(settings), lambda con: search(query, con))
    seconds = time.perf_counter() - started
    plain: dict[str, Any] = codec.plain({"query": query, "hits": hits, "seconds": seconds})
    return plain


def draw(console: Console, value: dict[str, Any]) -> None:
    """Hits, best first."""
    for hit in value["hits"]:
        console.print(Text(f"{hit['path']}:{hit['line']}", style="bold"), Text(one_line(hit["section"], 80)))
        console.print(Text("  " + one_line(hit["text"], 200)))
    count = len(value["hits"])
    hint = "" if count else ": nothing answers it. Try a number, an id such as H4A, or a status word"
    console.print(Text(f"{count} places for '{one_line(value['query'], 80)}'{hint}"))
