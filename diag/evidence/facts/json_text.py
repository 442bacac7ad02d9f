"""JSON and JSON Lines with the line of each value; what is cut off in the middle is read to where it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.tree import Walk

_TOKEN = re.compile(r'"((?:[^"\\\n]|\\.)*)"|([{}\[\]:,])|(\n)|([^\s{}\[\]:,"]+)|(")')


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of one JSON text, or of one a line. A line that is no JSON is skipped, and said."""
    yield from between(lines, 1, notes)


def between(lines: Sequence[str], first: int, notes: Notes, section: str = "") -> Iterator[Draft]:
    """The drafts of some lines; `first` is the number of the first."""
    walk = Walk(notes, section)
    line, name, waiting, value_next, odd = first, "", None, False, 0
    lists: list[bool] = []
    for match in _TOKEN.finditer("\n".join(lines)):
        text, sign, newline, bare, stray = match.groups()
        if newline:
            line += 1
            if not lists:
                yield from walk.drafts()
        elif sign and sign in "{[":
            walk.open(name, line, is_list=sign == "[")
            lists.append(sign == "[")
            name, waiting, value_next = "", None, False
        elif sign and sign in "}]":
            if waiting is not None and lists and lists[-1]:
                walk.scalar("", waiting, line, quoted=True)
            walk.close()
            if lists:
                lists.pop()
            name, waiting, value_next = "", None, False
        elif sign == ":":
            name, waiting, value_next = waiting or "", None, True
        elif sign == ",":
            if waiting is not None and lists and lists[-1]:
                walk.scalar("", waiting, line, quoted=True)
            name, waiting, value_next = "", None, False
        elif text is not None:
            decoded = _decoded(text)
            if value_next:
                walk.scalar(name, decoded, line, quoted=True)
                name, value_next = "", False
            else:
                waiting = decoded
        elif bare and (value_next or (lists and lists[-1])):
            walk.scalar(name, bare, line, quoted=False)
            name, value_next = "", False
        elif bare or stray:
            odd += 1
    walk.end()
    yield from walk.drafts()
    if odd:
        notes.left_out.append(f"{odd} pieces are no JSON")


def _decoded(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return text
