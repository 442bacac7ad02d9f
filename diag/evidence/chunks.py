"""A text file into blocks: a few lines each, with the section they stand in. Blocks are what a search ranks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from diag.errors import one_line
from diag.evidence.terms import strip_ansi

MAX_LINES = 12
MAX_LINE_CHARS = 2_000  # of one line, as shown; longer lines (JSON on one line) are cut into blocks of this size
MAX_BLOCK_CHARS = 4_000
MAX_BLOCKS = 1_000_000

# What starts a section, by file suffix; the first group is its title.
_KEY = re.compile(r'^\s{0,2}"([^"]{1,80})"\s*:')
_RUN_LOG = re.compile(r"^\s*={2,}\s*(.*?)[\s=]*$")
_SECTION = {
    ".md": re.compile(r"^ {0,3}#{1,6}\s+(.*?)[\s#]*$"),
    ".json": _KEY,
    ".yaml": re.compile(r"^([A-Za-z_][\w.-]{0,80}):(?:\s|$)"),
    ".yml": re.compile(r"^([A-Za-z_][\w.-]{0,80}):(?:\s|$)"),
    ".txt": _RUN_LOG,
    ".log": _RUN_LOG,
    "": _RUN_LOG,
}
_FENCE = re.compile(r"^ {0,3}(```|~~~)")


@dataclass(frozen=True)
class Block:
    """Consecutive lines of one section. `line` is the number of the first, counted from 1."""

    line: int
    section: str
    lines: tuple[str, ...]


def blocks(text: str, suffix: str, place: Callable[[int], int] = lambda line: line) -> Iterator[Block]:
    """Cut a file into blocks: at a new section, at an empty line once four lines are held, at twelve lines. place: the
    number in the file of a line of the text."""
    rule = _SECTION.get(suffix.lower())
    held: list[str] = []
    section, start, chars, fenced, made = "", 0, 0, False, 0
    for at, line in _numbered(text):
        number = place(at)
        if suffix == ".md" and _FENCE.match(line):
            fenced = not fenced
        title = rule.match(line) if rule and not fenced else None
        full = len(held) >= MAX_LINES or chars + len(line) > MAX_BLOCK_CHARS
        # A line number that jumps cannot stay in one block: the place of a hit is counted from the block's start.
        if held and (title or full or number != start + len(held) or (not line.strip() and len(held) >= 4)):
            yield Block(start, section, tuple(held))
            made, held, chars = made + 1, [], 0
            if made >= MAX_BLOCKS:
                return
        if title:
            section = one_line(title.group(1), 120)
        if held or line.strip():
            start = start if held else number
            held.append(line)
            chars += len(line)
    if held:
        yield Block(start, section, tuple(held))


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(text.split("\n"), start=1):
        line = (raw if raw.isprintable() else one_line(strip_ansi(raw), len(raw) + 1)).rstrip()
        for begin in range(0, max(len(line), 1), MAX_LINE_CHARS):
            yield number, line[begin : begin + MAX_LINE_CHARS]
