"""Tables that programs draw: cells between bars (`│`, `┆`, `|`) and rules of lines, or columns set apart with spaces.

A head is set off by a rule that the rows below do not have; without one, two columns are names and values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from diag.evidence.facts import numbers
from diag.evidence.facts.phrases import SMI
from diag.evidence.facts.tables import Cells

_BARS = re.compile(r"[│┃║┆┊╎|]")
_ROW = re.compile(r"\s*[│┃║|].*[│┃║|]\s*")
_RULE = re.compile(r"(?=.*?[\u2500-\u257f+=-]{3})[\u2500-\u257f|+:=\s-]+")
_HEAVY = "═━╞╪╡╇="
_LINES = re.compile(r"^[\s=\-*#_~\u2500-\u257f\u2580-\u259f]+$")
_GAP = re.compile(r"\s{2,}")
_GROUP = re.compile(r"[-=─]{2,}")
_GROUPS = re.compile(r"\s*[-=─]{2,}(?:\s+[-=─]{2,})+\s*")
_MISSING = ("N/A", "n/a", "-", "—", "–", "None", "nan")
_NAMES_AND_VALUES = ["", "Value"]
MAX_LINE = 2_000  # characters
MAX_HEADER = 300  # of one whose columns are set apart with spaces
LEAST_COLUMNS = 3
LEAST_CELLS = 2


class Table(NamedTuple):
    """A drawn table. end: the line behind it, counted as `rows` are, from the first line of the text."""

    header: list[str]
    rows: list[Cells]
    end: int


def table(lines: Sequence[str], head: int) -> Table | None:
    """The table whose first row is at `head`, or None. Its lines are counted from 0."""
    first = _cells(lines, head)
    if len(first) < LEAST_CELLS or not (_rule(lines, head - 1) or _rule(lines, head + 1)):
        return None
    if any(SMI.search(line) for line in lines[head : head + 6]):
        return None  # of nvidia-smi, whose cells have no names
    headed = _headed(lines, head, first)
    if not headed and len(first) > LEAST_CELLS:
        return None
    rows: list[Cells] = [] if headed else [(head, first)]
    at = head + 1
    while at < len(lines):
        cells = _cells(lines, at)
        if len(cells) == len(first):
            rows.append((at, cells))
        elif not _rule(lines, at):
            break
        at += 1
    return Table(first if headed else _NAMES_AND_VALUES, rows, at)


def _headed(lines: Sequence[str], head: int, first: list[str]) -> bool:
    """Whether a first row names the columns: a rule stands below it and, unless that is a heavy one, none below the
    second row. Of two columns it does so where two rows follow that no rule parts."""
    rule = _rule(lines, head + 1)
    second = _cells(lines, head + 2)
    if not rule or len(second) != len(first) or any(numbers.at(cell) for cell in first[1:]):
        return False
    if set(rule) & set(_HEAVY):
        return True
    goes_on = len(_cells(lines, head + 3)) == len(first)
    return goes_on or (len(first) > LEAST_CELLS and len(_cells(lines, head + 4)) != len(first))


def printed(lines: Sequence[str], head: int) -> Table | None:
    """A table whose columns are set apart with spaces, below the line of their names at `head`: those that a rule of
    several parts below it marks, else at least two rows, all of whose cells but the first are numbers or missing."""
    names = lines[head]
    if len(names) > MAX_HEADER or "  " not in names.strip():
        return None
    if _GROUPS.fullmatch(below := lines[head + 1] if head + 1 < len(lines) else ""):
        return _marked(lines, head, [match.start() for match in _GROUP.finditer(below)])
    header = _GAP.split(names.strip())
    if "   " not in names.strip() or len(header) < LEAST_COLUMNS or any(sign in names for sign in ":=|,{"):
        return None
    if any(not name[:1].isalpha() for name in header):
        return None
    found: list[Cells] = []
    for at in range(head + 1, len(lines)):
        cells = _GAP.split(lines[at].strip())
        if len(cells) != len(header) or not _numbers(cells[1:]):
            if found or not _LINES.match(lines[at] or " "):
                break
            continue
        found.append((at, cells))
    return Table(header, found, found[-1][0] + 1) if len(found) > 1 else None


def _numbers(cells: Sequence[str]) -> bool:
    """Whether cells hold a number each, with its unit, or nothing, and not all nothing."""
    held = [cell for cell in cells if cell not in _MISSING]
    return bool(held) and all(_is_number(cell) for cell in held)


def _is_number(cell: str) -> bool:
    if numbers.BARE.fullmatch(cell):
        return True
    read = numbers.at(cell) if cell[:1].isdigit() else None
    return read is not None and read.end == len(cell)


def _marked(lines: Sequence[str], head: int, starts: list[int]) -> Table | None:
    """A table whose columns begin where the parts of the rule below its head do."""

    def cut(line: str) -> list[str]:
        return [line[a:b].strip() for a, b in zip_longest(starts, starts[1:])]

    rows: list[Cells] = []
    at = head + 2
    while at < len(lines) and 0 < len(lines[at].strip()) <= MAX_LINE:
        if not _LINES.match(lines[at]):
            rows.append((at, cut(lines[at])))
        at += 1
    header = cut(lines[head])
    if rows and all(_is_number(row[0]) and not _numbers(row[-1:]) for _, row in rows):
        header, rows = (
            [header[-1], *header[:-1]],
            [(line, [row[-1], *row[:-1]]) for line, row in rows],
        )  # names are last
    return Table(header, rows, at) if rows else None


def _cells(lines: Sequence[str], at: int) -> list[str]:
    """The cells of a row; none for a line that is no row."""
    line = lines[at] if at < len(lines) and len(lines[at]) <= MAX_LINE else ""
    return [cell.strip() for cell in _BARS.split(line.strip())[1:-1]] if _ROW.fullmatch(line) else []


def _rule(lines: Sequence[str], at: int) -> str:
    """The rule at a line; empty for any other line."""
    line = lines[at] if 0 <= at < len(lines) and len(lines[at]) <= MAX_LINE else ""
    return line if _RULE.fullmatch(line) else ""
