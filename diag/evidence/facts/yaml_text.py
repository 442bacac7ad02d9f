"""YAML as people write reports in it: block maps and lists by indentation, flow maps and lists, comments, block text.

Line by line and without a YAML library, because the line of each value is what counts; anchors and tags stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts import prose
from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.tree import Walk

_ENTRY = re.compile(
    r"""^(?P<indent>\s*)(?P<dashes>(?:-\s+)*)(?:(?P<name>"[^"]*"|'[^']*'|[^\s#:{}\[\],&*!|>'"%@-][^:#]*?|-?\w[^:#]*?)\s*:(?=\s|$))?\s*(?P<value>.*)$"""
)
_FLOW = re.compile(
    r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([{}\[\],])|([^,{}\[\]:"']+(?:'[^,{}\[\]]*)?(?::(?=\S)[^,{}\[\]]+)?)|(:))"""
)
_BLOCK_TEXT = re.compile(r"[|>][+-]?\d*$")
_COMMENT = re.compile(r"\s+#(?!\d).*$")


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a YAML text."""
    yield from between(lines, 1, notes)


def between(lines: Sequence[str], first: int, notes: Notes, section: str = "") -> Iterator[Draft]:
    """The drafts of some lines; `first` is the number of the first."""
    reader = _Lines(Walk(notes, section), first, section)
    for number, line in enumerate(lines, start=first):
        yield from reader.line(line, number)
    yield from reader.end()


class _Lines:
    """Which maps and lists are open, by their indentation, from one line to the next."""

    def __init__(self, walk: Walk, first: int, section: str) -> None:
        self._walk = walk
        walk.open("", first, is_list=False)
        self._indents: list[float] = [-1.0]  # of a key, or of a list's dash and half a column
        self._block: int | None = None  # the indentation of the key whose block text goes on
        self._held: list[str] = []
        self._held_from = first
        self._section, self._top = section, section

    def line(self, line: str, number: int) -> Iterator[Draft]:
        """One line; what it completes."""
        stripped = line.strip()
        if self._block is not None:
            if not stripped or len(line) - len(line.lstrip()) > self._block:
                self._held.append(line)
                return
            yield from self._block_text()
        entry = _ENTRY.match(line) if stripped and not stripped.startswith(("#", "---", "...")) else None
        if entry is None:
            return
        at = len(entry["indent"])
        while self._indents[-1] >= at + (0.25 if entry["dashes"] else 0.0) and len(self._indents) > 1:
            self._indents.pop()
            self._walk.close()
        self._entry(entry, at, number)
        yield from self._walk.drafts()

    def end(self) -> Iterator[Draft]:
        """What the end of the text completes."""
        yield from self._block_text()
        while self._walk.depth:
            self._walk.close()
        self._walk.end()
        yield from self._walk.drafts()

    def _entry(self, entry: re.Match[str], at: int, number: int) -> None:
        value = _COMMENT.sub("", entry["value"]).strip()
        name = (entry["name"] or "").strip("\"'")
        if entry["name"] and entry["name"][0] == '"':
            value = value.rstrip(",")  # JSON that calls itself YAML, for its comments
        if entry["dashes"]:  # each item of a list is a map of its own
            self._walk.open("", number, is_list=not name and not value.startswith("{"))
            self._indents.append(at + 0.5)
            at += len(entry["dashes"])
        if name and at == 0:
            self._top = self._section or name
        if _BLOCK_TEXT.fullmatch(value):
            self._block, self._held, self._held_from = at, [], number + 1
        elif value.startswith(("{", "[")):
            _flow(self._walk, name, value, number)
        elif value:
            quoted = value[0] in "\"'" or _is_text(value)
            self._walk.scalar(name, value.strip("\"'"), number, quoted=quoted)
        elif name:
            self._walk.open(name, number, is_list=False)
            self._indents.append(at)

    def _block_text(self) -> Iterator[Draft]:
        if self._block is not None:
            yield from prose.between(self._held, self._held_from, self._top)
        self._block = None


def _is_text(value: str) -> bool:
    return not re.match(r"[-+.\d]", value) and value.lower() not in ("true", "false", "yes", "no", "null", "~")


def _flow(walk: Walk, name: str, value: str, line: int) -> None:
    """`{id: T1, state: DONE}` and `[G1, 2]` under a name. What is not closed on the line ends with it."""
    depth, waiting, quoted = 0, None, False
    lists: list[bool] = []
    for match in _FLOW.finditer(value):
        double, single, sign, bare, colon = match.groups()
        if sign and sign in "{[":
            walk.open(name, line, is_list=sign == "[")
            lists.append(sign == "[")
            depth, name, waiting = depth + 1, "", None
        elif sign:
            if waiting is not None and lists:
                walk.scalar(name, waiting, line, quoted=quoted)
            name, waiting = "", None
            if sign in "}]" and depth:
                walk.close()
                lists.pop()
                depth -= 1
            if depth == 0:
                return
        elif colon:
            name, waiting = waiting or "", None
        else:
            text = double if double is not None else single if single is not None else (bare or "").strip()
            quoted = double is not None or single is not None or _is_text(text)
            waiting = text if waiting is None else f"{waiting}{text}"
    if waiting is not None and name and lists:
        walk.scalar(name, waiting, line, quoted=quoted)
    for _ in range(depth):
        walk.close()
