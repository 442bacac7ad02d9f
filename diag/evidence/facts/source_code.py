"""Which lines of a log are source code: trainers print their own script into it, and a default is no measurement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

_CODE = re.compile(
    r"^\s*(?:def|class|async def|fn|pub fn|impl|struct)\s+\w+|^\s*(?:import|from)\s+[\w.]+(?:\s+import\b|$|\s+as\b)"
    r"|^\s*(?:if|elif|for|while|with|else|try|except)\b.*:\s*(?:#.*)?$|^\s*(?:return|raise|assert|yield|del)\b"
    r"|^\s*@\w+|\b(?:self|torch|nn|np|dist|args|F)\.[a-z_]\w+"
    r"|\b[A-Za-z_]\w*\.[A-Za-z_]\w*\(|^\s*\w+=\w[\w.]*\([^)]*\),?\s*$"
    r"|^\s*(?:#include|template|using namespace)\b|\blambda\b"
    r"|^\s*\w+: (?:int|float|str|bool|list|dict|tuple|Optional|Tensor)\b.*="
    r"|\w\]?(?:\s*[+-]=\s*|\s+(?:\*|//?)=\s+)\w|;\s*$|^\s*[)\]}]+,?\s*$|\w\[[\w:, -]*\]\s*="
)
_BLOCK = re.compile(r"^\s*(?:class|def|async def)\s+\w+|^\s*(?:import|from)\s+[\w.]+")
AROUND = 12  # lines before and behind that say what a line stands in
SHARE = 0.25
BETWEEN = 60  # lines of a comment between two pieces of code, with nothing that a trainer prints at run time
_PRINTED = re.compile(r"^\s*(?:step|iter|epoch)\w*\s*[:=\[]?\s*\d|^={10,}|^\[?\d{4}-\d\d-\d\d|^\{'", re.IGNORECASE)


def code_lines(lines: Sequence[str]) -> list[bool]:
    """For each line whether it is source code: of the lines around it that say something, a quarter look like code, or
    it is a comment between two such pieces."""
    strong = [bool(_CODE.search(line[:400])) for line in lines]
    if not any(strong):
        return strong
    said = [bool(line.strip()) for line in lines]
    code, text = [0, *accumulate(strong)], [0, *accumulate(said)]
    found = []
    for i, own in enumerate(strong):
        first, last = max(0, i - AROUND), min(len(lines), i + AROUND + 1)
        near = code[last] - code[first]
        found.append(near > 0 and near >= SHARE * (text[last] - text[first]) and (own or near > 1))
    _close_gaps(lines, found)
    return found


def _close_gaps(lines: Sequence[str], found: list[bool]) -> None:
    """A docstring or a class of settings between two pieces of code belongs to them."""
    before = -1
    for i in [i for i, code in enumerate(found) if code]:
        gap = range(before + 1, i)
        if before >= 0 and 0 < len(gap) <= BETWEEN and not any(_PRINTED.match(lines[k]) for k in gap):
            starts = any(_BLOCK.match(lines[k]) for k in range(max(0, before - AROUND), min(len(lines), i + AROUND)))
            for k in gap if starts else ():
                found[k] = True
        before = i
