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
    walk = Walk(notes, section)
    walk.open("", first, is_list=False)
    indents: list[float] = [-1.0]  # of a key, or of a list's dash and half a column
    block: int | None = None
    top = section
    held: list[str] = []
    held_from = first
    for number, line in enumerate(lines, start=first):
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if block is not None and (not stripped or indent > block):
            held.append(line)
            continue
        if block is not None:
            yield from prose.between(held, held_from, top)
            block = None
        if not stripped or stripped.startswith(("#", "---", "...")):
            continue
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        dashes = entry["dashes"].count("-")
        at = len(entry["indent"])
        while indents[-1] >= at + (0.25 if dashes else 0.0) and len(indents) > 1:
            indents.pop()
            walk.close()
        value = _COMMENT.sub("", entry["value"]).strip()
        name = (entry["name"] or "").strip("\"'")
        if dashes:  # each item of a list is a map of its own
            walk.open("", number, is_list=not name and not value.startswith("{"))
            indents.append(at + 0.5)
            at += len(entry["dashes"])
        if name and at == 0:
            top = section or name
        if _BLOCK_TEXT.fullmatch(value):
            block, held, held_from = at, [], number + 1
        elif value.startswith(("{", "[")):
            _flow(walk, name, value, number)
        elif value:
            quoted = value[0] in "\"'"
            walk.scalar(name, value.strip("\"'"), number, quoted=quoted or _is_text(value))
        elif name:
            walk.open(name, number, is_list=False)
            indents.append(at)
        yield from walk.drafts()
    if block is not None:
        yield from prose.between(held, held_from, top)
    while walk.depth:
        walk.close()
    walk.end()
    yield from walk.drafts()


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
    for _ in range(depth):
        walk.close()
