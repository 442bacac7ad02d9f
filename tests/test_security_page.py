"""Every promise of docs/security.md names what tests it, and that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_promise_names_a_test_or_a_command_that_exists() -> None:
    table = PAGE.partition("## Promised")[2].partition("## Not promised")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for row in rows:
        column = row.rsplit(" | ", 1)[1]
        paths, commands = re.findall(r"`(tests/[^`]*)`", column), re.findall(r"`make ([a-z]+)`", column)
        assert paths, row
        assert all((ROOT / path).exists() for path in paths) and set(commands) <= set(targets), row
    assert len(rows) > 10


def test_every_other_file_it_names_exists() -> None:
    assert all((ROOT / path).exists() for path in re.findall(r"`((?:diag|docs|locks)/[^`]*)`", PAGE))
