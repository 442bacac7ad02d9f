"""JSON and JSON Lines with the line of each value; what is cut off in the middle is read to where it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts import run_log
from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.tree import Walk

_VALUE = re.compile(r"[+-]?(?:\d[\d.]*(?:[eE][+-]?\d+)?|\.\d+|nan|inf(?:inity)?)|true|false|null|none", re.IGNORECASE)
_WRITTEN = re.compile(
    r"\s*(?:\[[A-Za-z][\w#:.-]*\]\s|(?!true|false|null|nan|inf)[^\W\d]|$)", re.IGNORECASE
)  # by a program
_TOKEN = re.compile(r'"((?:[^"\\\n]|\\.)*)"|([{}\[\]:,])|(\n)|([^\s{}\[\]:,"]+)|(")')


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of one JSON text, or of one a line. A line that is no JSON is skipped, and said; what a program wrote
    before the first is read as a log."""
    begin = next((i for i, line in enumerate(lines) if line.strip() and not _WRITTEN.match(line)), len(lines))
    if any(line.strip() for line in lines[:begin]):
        yield from run_log.between(lines[:begin], 1, "", notes)
    else:
        begin = 0
    yield from between(lines[begin:], begin + 1, notes)


def between(lines: Sequence[str], first: int, notes: Notes, section: str = "") -> Iterator[Draft]:
    """The drafts of some lines; `first` is the number of the first."""
    walk = Walk(notes, section)
    reader = _Tokens(walk)
    line = first
    for match in _TOKEN.finditer("\n".join(lines)):
        text, sign, newline, bare, _ = match.groups()
        if newline:
            line += 1
            if not walk.depth:
                yield from walk.drafts()
        elif sign:
            reader.sign(sign, line)
        elif text is not None:
            reader.text(_decoded(text), line)
        else:
            reader.bare(bare, line)
    walk.end()
    yield from walk.drafts()
    if reader.odd:
        notes.left_out.append(f"{reader.odd} pieces are no JSON")


class _Tokens:
    """What comes next, a name or a value, from one token to the next."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._lists: list[bool] = []
        self._name = ""
        self._waiting: str | None = None  # a text that is a name if a colon follows
        self._waiting_line = 0
        self._value_next = False
        self.odd = 0

    def sign(self, sign: str, line: int) -> None:
        """A bracket, a comma or a colon."""
        if sign == ":":
            self._name, self._waiting, self._value_next = self._waiting or "", None, True
            return
        if sign in "{[":
            self._walk.open(self._name, line, is_list=sign == "[")
            self._lists.append(sign == "[")
        else:
            if self._waiting is not None and self._lists and self._lists[-1]:
                self._walk.scalar("", self._waiting, self._waiting_line, quoted=True)
            if sign in "}]" and self._lists:
                self._walk.close()
                self._lists.pop()
        self._name, self._waiting, self._value_next = "", None, False

    def text(self, text: str, line: int) -> None:
        """A text in quotes."""
        if self._value_next:
            self._walk.scalar(self._name, text, line, quoted=True)
            self._name, self._value_next = "", False
        else:
            self._waiting, self._waiting_line = text, line

    def bare(self, text: str | None, line: int) -> None:
        """A number, true, false, null, or something that is no JSON."""
        if text and _VALUE.fullmatch(text) and (self._value_next or (self._lists and self._lists[-1])):
            self._walk.scalar(self._name, text, line, quoted=False)
            self._name, self._value_next = "", False
        else:
            self.odd += 1


def _decoded(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
