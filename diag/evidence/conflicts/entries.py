"""Rows of tables and flat entries of trees, read from the text: what they say of one thing, by its names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from diag.evidence.conflicts.conflict import TREES, Known, Passage
from diag.evidence.facts.tables import cells

_OBJECT = re.compile(r"\{[^{}]{1,2000}\}")
_PAIR = re.compile(r"\"(?P<name>[\w .-]{1,60})\"\s*:\s*(?P<value>\"(?:[^\"\\\n]|\\.){0,400}\"|[-+\w.]+)")
_ITEM = re.compile(
    r"^(?P<indent>\s*)(?P<dash>- )?(?P<name>[A-Za-z][\w .-]{0,60}):[ \t]+(?P<value>\S[^\n]*)$", re.MULTILINE
)
_SEPARATED = (".csv", ".tsv")
MAX_COLUMNS = 40


@dataclass(frozen=True)
class Cell:
    """What stands under a name, and where in the passage."""

    text: str
    place: int


Entry = dict[str, Cell]  # by name in lower case; of a row the first cell comes first


def entries(known: Known, passage: Passage) -> Iterator[Entry]:
    """Every row of a table with a head, and every flat object or item of a list, of a passage."""
    if passage.path.endswith((".yaml", ".yml")):
        yield from _items(passage.text)
    elif passage.path.endswith(TREES):
        yield from _objects(passage.text)
    else:
        yield from _rows(known, passage)


def _objects(text: str) -> Iterator[Entry]:
    for found in _OBJECT.finditer(text):
        pairs = _PAIR.finditer(found.group())
        yield {m["name"].lower(): Cell(m["value"].strip('"'), found.start() + m.start("name")) for m in pairs}


def _items(text: str) -> Iterator[Entry]:
    held: Entry = {}
    indent, last = -1, 0
    for match in _ITEM.finditer(text):
        deep = len(match["indent"].lstrip("\n")) + 2 * bool(match["dash"])
        if match["dash"] or deep != indent or text.count("\n", last, match.start()) > 1:
            if held:
                yield held
            held, indent = {}, deep
        held[match["name"].lower()] = Cell(match["value"].strip().strip("\"'"), match.start("name"))
        last = match.end()
    if held:
        yield held


def _rows(known: Known, passage: Passage) -> Iterator[Entry]:
    separator = "\t" if passage.path.endswith(".tsv") else "," if passage.path.endswith(_SEPARATED) else "|"
    heads: list[str] = []
    if separator != "|" and passage.line > 1:
        heads = _split(known.lines(passage.path, 1, 1), separator)
    for line in re.finditer(r"[^\n]+", passage.text):
        row = _split(line.group(), separator) if separator in line.group() else []
        if not row or len(row) > MAX_COLUMNS:
            heads = []
        elif not heads:
            heads = row
        elif len(row) == len(heads) and set("".join(row)) - set("-: "):
            yield {head.lower(): Cell(cell, line.start()) for head, cell in zip(heads, row, strict=True)}


def _split(line: str, separator: str) -> list[str]:
    found = cells(line) if separator == "|" else line.split(separator)
    return [cell.strip('*`" ') for cell in found]
