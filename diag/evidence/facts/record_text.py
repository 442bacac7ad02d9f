"""Our own records: what was measured and concluded, not the thresholds, versions and costs beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from diag.evidence.facts import json_text
from diag.evidence.facts.fact import Draft, Notes

_QUIET = ("thresholds", "environment", "cost", "inputs", "case")


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a record. A bare `nats` is named by what holds it."""
    for draft in json_text.read(lines, notes):
        if draft.section.startswith(_QUIET):
            continue
        parent = draft.section.rpartition(".")[2]
        yield replace(draft, name=parent, unit="nats") if draft.name == "nats" else draft
