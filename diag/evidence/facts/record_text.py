"""Our own records: what was measured and concluded, not the thresholds, versions and costs beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts.fact import Draft, Notes

_ENTRY = re.compile(r'\s*"(?P<name>\w+)": (?P<quote>"?)(?P<value>[^"{\[]+?)"?,?$')
_LOSSES = ("loss_nats", "chance_nats", "unigram_nats", "bigram_nats", "reference_nats", "below")
_STATES = ("status", "word", "kind", "zone")


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a record: losses, and the status of each hypothesis under its id."""
    begun = next((i for i, line in enumerate(lines) if line.startswith(' "result":')), len(lines))
    about = part = ""
    seen: set[str] = set()
    for number, line in enumerate(lines[begun:], start=begun + 1):
        if line.rstrip().endswith(("{", "[")):
            part, about = line.strip().strip('":{[ '), ""
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        name, value = entry["name"], entry["value"]
        if name == "id":
            about = value
        elif name in _LOSSES and value != "null" and part in ("measurement", "ruler", "reference", "joint", "gate"):
            key = name if part in ("measurement", "ruler") else f"{part} {name}"
            if key not in seen:
                yield Draft(number, "result", key, value, unit="nats", near=part)
            seen.add(key)
        elif name in _STATES and (about or part in ("data", "tie", "gate", "conclusion")) and entry["quote"]:
            yield Draft(number, "result", about or part, value, status_raw=value, near=about)
            about = ""
