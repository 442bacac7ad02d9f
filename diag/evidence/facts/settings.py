"""TOML and INI: a name, a sign and one value on a line, below the title of its section; comments say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts import numbers
from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.names import is_fact_name
from diag.evidence.facts.runs import said_in_line

_SECTION = re.compile(r"^\s*\[+\s*(?P<title>[^\[\]]+?)\s*\]+\s*(?:[#;].*)?$")
_ENTRY = re.compile(r"^\s*(?P<name>[A-Za-z_][\w.\- ]*?)\s*[=:]\s*(?P<value>[^\s#;][^#;]*?)\s*(?:[#;].*)?$")


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a file of settings: numbers and truth values; lists and texts are none."""
    section = ""
    for number, line in enumerate(lines, start=1):
        if title := _SECTION.match(line):
            section = title["title"]
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        said_in_line(line, notes)
        name, value = entry["name"], entry["value"].strip("\"'").replace("_", "")
        read_ = numbers.at(value)
        whole = read_ is not None and read_.end == len(value)
        if is_fact_name(name) and (whole or value.lower() in ("true", "false")):
            yield Draft(number, section, name, entry["value"].strip("\"'"))
