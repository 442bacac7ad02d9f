"""Run logs: sections drawn with `===`, everything else line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts import numbers, phrases, tables
from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.names import options
from diag.evidence.facts.runs import said_in_line
from diag.evidence.facts.source_code import AROUND, code_lines

_SECTION = re.compile(
    r"^\s*(?:={2,}|-{3,}|#{2,}|\*{3,})\s*(?P<title>[^=#*-].{0,100}?)\s*(?:={2,}|-{3,}|#{2,}|\*{3,})?\s*$"
)
_RULE = re.compile(r"^[\s=\-*#_~\u2500-\u257f\u2580-\u259f]+$")
_TRACE = re.compile(
    r"^\s*\++\s+(?:export\s|\w+=|echo\s|\[|local\s|eval\s|case\s|shift\b|unset\s|\.\s|source\s|module\s)"
)
_PROGRAMS = r"python3?|torchrun|accelerate|deepspeed|apr|litgpt|bash|sh|srun|uv run"
_COMMAND = re.compile(
    rf"^\s*(?:\$\s+|\++\s+(?=\w)|(?=(?:{_PROGRAMS})\s[^:]*?(?:\s--?\w|\.py\b|\\$)))(?P<command>[\w./~]\S*\s.*)$"
)
# `per_step_ms = wall * 1000 / steps`, and two lines below it `= 58.1 ms/step`.
_FORMULA = re.compile(r"^\s*(?P<name>[A-Za-z]\w*)\s*=\s*[^=]*\s[*/+·×-]\s[^=]*$")
_RESULT = re.compile(rf"^\s*[=≈]\s*(?P<value>{numbers.NUMBER}\s?\S{{0,12}})\s*$")
_GAP = re.compile(r"\s{2,}")  # between the columns of a table that a program printed
_MAX_LINE = 4_000
MAX_HEADER = 300  # characters
LEAST_COLUMNS = 3


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a log."""
    yield from between(lines, 1, "", notes)


def between(lines: Sequence[str], first: int, section: str, notes: Notes) -> Iterator[Draft]:
    """The drafts of some lines of a log; `first` is the number of the first. A command line begins a run."""
    command, goes_on, long, derived = "", False, 0, ""
    held: list[Draft] = []  # the options of a command that goes on
    code = code_lines(lines)
    end = first  # of the last table
    for number, whole in enumerate(lines, start=first):
        if number < end or code[number - first]:
            continue
        text = whole[:_MAX_LINE]
        long += len(whole) > _MAX_LINE
        if not text or text.isspace() or _RULE.match(text):
            goes_on = False
            continue
        if _TRACE.match(text):
            continue  # what `set -x` prints of a shell's own work
        asked = _COMMAND.match(text) if not goes_on else None
        if asked or goes_on:
            said = (asked["command"] if asked else text).strip()
            command = f"{'' if asked else command} {said.rstrip(chr(92))}".strip()[:2_000]
            goes_on = said.endswith("\\")
            said_in_line(said, notes)
            held += _options(text, number, section)
            if not goes_on:
                yield from (draft._replace(command=command) for draft in held)
                held = []
            continue
        title = _SECTION.match(text)
        if title and not re.search(r"\d\.\d", title["title"]):
            section = title["title"].strip()
            continue
        if (rows := _printed_rows(lines, number - first)) and not goes_on:
            end = rows[-1][0] + first + 1
            header = _GAP.split(text.strip())
            yield from tables.of_rows(header, [(first + at, cells) for at, cells in rows], section)
            continue
        said_in_line(text, notes)
        derived = _derived(text, derived)
        result = _RESULT.match(text) if derived else None
        drafts = (
            [Draft(number, section, derived, result["value"])] if result else phrases.of_line(text, number, section)
        )
        for draft in drafts:
            yield draft._replace(command=command) if command else draft
    yield from (draft._replace(command=command) for draft in held)
    if any(code) and sum(code) > AROUND:
        notes.left_out.append(f"{sum(code)} lines are source code")
    if long:
        notes.left_out.append(f"{long} lines are longer than {_MAX_LINE} characters: what follows in them is not read")


def _printed_rows(lines: Sequence[str], head: int) -> list[tuple[int, list[str]]]:
    """The rows, by their place, of a table whose columns a program set apart with spaces, below the line of their
    names: at least two, and all cells but the first are numbers."""
    names = lines[head]
    if len(names) > MAX_HEADER or "   " not in names.strip() or any(sign in names for sign in ":=|,{"):
        return []
    header = _GAP.split(names.strip())
    if len(header) < LEAST_COLUMNS or any(not name[:1].isalpha() for name in header):
        return []
    found: list[tuple[int, list[str]]] = []
    for at in range(head + 1, len(lines)):
        cells = _GAP.split(lines[at].strip())
        if len(cells) != len(header) or not all(numbers.BARE.fullmatch(cell) for cell in cells[1:]):
            if found or not _RULE.match(lines[at] or " "):
                break
            continue
        found.append((at, cells))
    return found if len(found) > 1 else []


def _derived(text: str, before: str) -> str:
    """The name that a derivation over several lines gives its result: `per_step = wall / steps`, below it `= 58 ms`."""
    if formula := _FORMULA.match(text):
        return formula["name"]
    return before if before and text.lstrip().startswith(("=", "≈")) else ""


def _options(text: str, line: int, section: str) -> Iterator[Draft]:
    clean = numbers.without_noise(text)
    for name, _, place in options(clean):
        if value := numbers.at(clean, place):
            yield Draft(line, section, name, value.raw, near=clean)
