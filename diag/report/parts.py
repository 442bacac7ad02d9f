"""What a section is made of: sentences, status words, tables and code. Plain, unescaped text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from diag.report.look import said

MAX_ROWS = 40


@dataclass(frozen=True)
class Word:
    """A status word, drawn with its mark and tone; `text` follows it. `of` stands before it: what has that status."""

    word: str
    text: str = ""
    of: str = ""

    @property
    def label(self) -> str:
        """What has the status, and the status as people say it."""
        words = f"{self.of} {said(self.word)}".strip()
        return words[:1].upper() + words[1:] if self.text and not self.of else words

    @property
    def sentence(self) -> str:
        """All of it without its mark."""
        return f"{self.label}: {self.text}" if self.text else self.label


Cell: TypeAlias = str | Word


@dataclass(frozen=True)
class Table:
    """Rows under a head. `numeric` columns are aligned to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[int, ...] = ()


@dataclass(frozen=True)
class Code:
    """Text to copy as it stands."""

    text: str


Item: TypeAlias = str | Word | Table | Code


@dataclass(frozen=True)
class Section:
    """A title and what stands under it. `optional` sections go first when a report becomes too long."""

    title: str
    items: tuple[Item, ...]
    optional: bool = False
