"""What tells the rows of a table apart, so that a number of one is not taken for that of another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from diag.evidence.facts.status import status_of
from diag.evidence.facts.units import unit_of_name

LONGEST_WORD = 60  # characters
MAX_FIELDS = 8  # the values of a row that may tell which it is
_NO_WORD = re.compile(r"hash|sha|digest|url|path|date|time|created|schema|note|text|summary|detail", re.IGNORECASE)
_KEY = re.compile(r"(?=.*\d)[\w-]{16,}")  # of a database or a request


def identities(rows: Sequence[Sequence[tuple[str, str, bool]]]) -> list[list[tuple[str, str]]]:
    """What tells rows of (name, value, quoted) apart: (`kv`, `f16`) and (`seq_len`, `4096`), the first words and whole
    numbers that no two have alike; nothing where none do."""
    fields = [name for name, value, quoted in rows[0] if _tells(name, value, quoted)][:MAX_FIELDS]
    tables = [{name: value for name, value, _ in row} for row in rows]
    chosen: list[str] = []
    kinds = 1
    for name in fields:
        if not all(name in table for table in tables):
            continue
        more = len({tuple(table[one] for one in (*chosen, name)) for table in tables})
        if more > kinds:
            chosen, kinds = [*chosen, name], more
        if kinds == len(rows):
            return [[(one, table[one][:40]) for one in chosen] for table in tables]
    return [[] for _ in rows]


def _tells(name: str, value: str, quoted: bool) -> bool:
    """Whether a value can say which row this is: a short word that is no state and no hash, or a whole number."""
    if quoted:
        return len(value) <= LONGEST_WORD and not (
            status_of(value, any_case=True) or _NO_WORD.search(name) or _KEY.fullmatch(value)
        )
    return value.isdigit() and unit_of_name(name)[0] is None  # so many tokens or bytes are measured
