"""Run logs: sections drawn with `===`, everything else line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts import drawn, numbers, phrases, tables
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
_COUNTS = re.compile(r"\d\.\d|:\s*\d+ [a-z]|^\d+ [a-z]")  # and no title: `===== 12 errors were skipped`
_EPOCH = re.compile(r"[\W_]*epoch\s*#?(?P<number>\d+)(?:\s*(?:/|of)\s*\d+)?(?:\s+summary)?[\W_]*", re.IGNORECASE)
# `c=16 replicate 1/3`, `Prefill:`: the lines below it that are set in further are about it.
_HEADS = re.compile(
    r"\s*(?=.{0,40}(?:\d|:\s*$))(?P<title>[A-Za-z][\w.+/-]*(?:(?:=| +)[\w.+/-]+){0,5})(?:\s?:|\s\[[A-Z]+\])?\s*"
)
_MAX_LINE = 4_000


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a log."""
    yield from between(lines, 1, "", notes)


def between(lines: Sequence[str], first: int, section: str, notes: Notes) -> Iterator[Draft]:
    """The drafts of some lines of a log; `first` is the number of the first. A command line begins a run."""
    command, goes_on, long, derived = "", False, 0, ""
    held: list[Draft] = []  # the options of a command that goes on
    code = code_lines(lines)
    end = first  # of the last table
    above = _Above()
    for number, whole in enumerate(lines, start=first):
        if number < end or code[number - first]:
            continue
        text = whole[:_MAX_LINE]
        long += len(whole) > _MAX_LINE
        if not text or text.isspace() or _RULE.match(text):
            goes_on = False
            continue
        if not goes_on and (table := drawn.table(lines, number - first) or drawn.printed(lines, number - first)):
            end = table.end + first
            yield from tables.of_rows(table.header, [(first + at, cells) for at, cells in table.rows], section)
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
        if title and not _COUNTS.search(title["title"]):
            section = title["title"].strip()
            above = _Above()
            continue
        said_in_line(text, notes)
        derived = _derived(text, derived)
        result = _RESULT.match(text) if derived else None
        drafts = (
            [Draft(number, section, derived, result["value"])]
            if result
            else list(phrases.of_line(text, number, section))
        )
        yield from above.placed(text, drafts, command)
        if all(len(draft.name) == 1 for draft in drafts):
            above.may_be(text, lines[number - first + 1 : number - first + 2])
    yield from (draft._replace(command=command) for draft in held)
    if any(code) and sum(code) > AROUND:
        notes.left_out.append(f"{sum(code)} lines are source code")
    if long:
        notes.left_out.append(f"{long} lines are longer than {_MAX_LINE} characters: what follows in them is not read")


class _Above:
    """The lines above that those set in further are about."""

    def __init__(self) -> None:
        self._held: list[tuple[int, str]] = []  # how far it is set in, and its text
        self._epoch: tuple[int, float] | None = None  # the same of the last line that only says which it is

    def of(self, text: str) -> str:
        """What a line is about; empty where nothing above says so."""
        deep = _deep(text)
        while self._held and self._held[-1][0] >= deep:
            self._held.pop()
        return ", ".join(title for _, title in self._held[-2:])

    def placed(self, text: str, drafts: list[Draft], command: str) -> Iterator[Draft]:
        """The drafts of a line with what stands above it: its command, what it is about, and the epoch of a step and of
        a line set in further than the one that says which epoch it is, and nothing else."""
        if epoch := _EPOCH.fullmatch(text):
            self._epoch = (_deep(text), float(epoch["number"]))
        about = self.of(text)
        for draft in drafts:
            at = draft.at
            if self._epoch and (at or _deep(text) > self._epoch[0]) and all(what != "epoch" for what, _ in at):
                at = (("epoch", self._epoch[1]), *at)
            changed = command or about or at != draft.at
            yield draft._replace(command=command, about=draft.about or about, at=at) if changed else draft

    def may_be(self, text: str, behind: Sequence[str]) -> None:
        """Remember a line without facts of its own, where that behind it is set in further and it reads as a title."""
        head = _HEADS.fullmatch(text) if behind and _deep(text) < _deep(behind[0]) else None
        if head:
            title = re.sub(r" +", " ", head["title"])
            if "¤" not in numbers.without_noise(title):
                self._held.append((_deep(text), title))


def _deep(text: str) -> int:
    """How far a line is set in; -1 for an empty one."""
    return len(text) - len(text.lstrip()) if text.strip() else -1


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
