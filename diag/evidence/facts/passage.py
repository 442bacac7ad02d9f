"""A paragraph of a text: its lines joined, and where each began."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from diag.evidence.facts.fact import Draft
from diag.evidence.facts.names import POSITION, positions

_CHAPTER = re.compile(r"\bStep \d+")  # of an instruction


@dataclass(frozen=True)
class Passage:
    """A text whose lines were joined: where each began, and what its drafts have in common."""

    text: str
    clean: str
    section: str
    first: int
    starts: tuple[int, ...] = (0,)
    about: str = ""
    near: str = ""

    def draft(self, place: int, name: str, raw: str, near: str, status: str | None = None) -> Draft:
        """What stands at `place`, on the line that it stands on."""
        row = bisect_right(self.starts, place) - 1
        line = self.first + row
        own = self.clean[self.starts[row] : self.starts[row + 1] if row + 1 < len(self.starts) else None]
        at = _position(near, own) if status is None else ()
        return Draft(line, self.section, name, raw, self.about, status, near=self.near or near, at=at, form="sentence")


def _position(near: str, own: str) -> tuple[tuple[str, float], ...]:
    """Where in a run a number stands: its line says it, or its sentence where the line names no place or several."""
    own = _CHAPTER.sub(" ", own)
    several = len({m["number"] for m in POSITION.finditer(own)}) > 1
    return (() if several else positions(own)) or positions(_CHAPTER.sub(" ", near))
