"""Markdown: headings are sections, fences are read as what they hold, tables by column, the rest as sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from diag.evidence.facts import json_text, prose, run_log, tables, yaml_text
from diag.evidence.facts.fact import Draft, Notes
from diag.evidence.facts.names import is_fact_name, trimmed
from diag.evidence.facts.runs import said_in_line
from diag.evidence.facts.units import is_loss

_HEADING = re.compile(r"^ {0,3}(?:>\s*)*#{1,6}\s+(?P<title>.*?)[\s#]*$")
_FENCE = re.compile(r"^ {0,12}(?P<mark>`{3,}|~{3,})\s*(?P<kind>[\w+-]*)")
_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$")
_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+]|\d+[.)])\s+")
# A line that begins a statement of its own: `**Verdict**: …`, `Status: …`, `FALSIFY-005 → …`.
_LABEL = re.compile(
    r"^\s*(?:>\s*)*(?:\*\*[^*]{1,60}\*\*\s?:|\*\*[^*]{1,60}:\*\*|`?[A-Z][\w-]*(?: [\w%-]+){0,3}`?\s?(?::|→|=)\s)"
)
_CODE = {
    "python",
    "py",
    "rust",
    "rs",
    "c",
    "cpp",
    "cuda",
    "diff",
    "toml",
    "html",
    "javascript",
    "js",
    "sql",
    "latex",
    "bibtex",
}
_SHELL = {"bash", "sh", "shell", "zsh", "console", "powershell", "ps1"}
_PROMPT = re.compile(r"\s*[$>%]\s+\w")
_VARIABLE = re.compile(
    r"\s*(?:(?:local|export|set|readonly)\s+)?[A-Za-z_]\w*=\S*\s*(?:#.*)?$|\s*#"
)  # of a script; what it prints is none
_NUMBERED = re.compile(r"^(?:§\s?)?\d+(?:\.\d+)*\.?\s+(?=\D)")
_SIGNED = re.compile(r"(?P<name>.{3,70}?)\s+(?P<sign>[✅❌🔴🟢])\ufe0f?$")
_CURVE = re.compile(r"trajector|curve|history|progress|by epoch|per epoch", re.IGNORECASE)
_LOSS = re.compile(r"\b(?:val|train|eval|test)_loss\b", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HTML = re.compile(r"</?[A-Za-z][^>]*>|!?\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)")


def read(lines: Sequence[str], notes: Notes) -> Iterator[Draft]:
    """The drafts of a Markdown text."""
    section, i, n = "", 0, len(lines)
    if n and lines[0].strip() == "---":  # front matter
        end = next((k for k in range(1, min(n, 400)) if lines[k].strip() == "---"), 0)
        if end:
            yield from yaml_text.between(lines[1:end], 2, notes, "front matter")
            i = end + 1
    while i < n:
        line = lines[i]
        fence = _FENCE.match(line)
        if fence:
            end = next((k for k in range(i + 1, n) if lines[k].strip().startswith(fence["mark"])), n)
            for draft in _fenced(lines[i + 1 : end], i + 2, section, fence["kind"].lower(), notes):
                series = draft.at and draft.name == section and not is_loss(section) and _CURVE.search(section)
                yield draft._replace(name=_series(lines[:i]) or draft.name) if series else draft
            i = end + 1
            continue
        table = "|" in line and i + 1 < n and _RULE.match(lines[i + 1])
        heading = None if table else _HEADING.match(line)
        if heading:
            section = heading["title"].strip()
            said = list(prose.between([_NUMBERED.sub("", section)], i + 1, section))
            yield from said
            if not said and (signed := _SIGNED.match(section)) and is_fact_name(name := trimmed(signed["name"])):
                yield Draft(i + 1, section, name, signed["sign"], status_raw=signed["sign"], near=name)
            i += 1
            continue
        if table:
            end = i + 2
            while end < n and "|" in lines[end] and lines[end].strip():
                end += 1
            rows = [(k + 1, tables.cells(_linked(lines[k]))) for k in range(i + 2, end)]
            yield from tables.of_rows(tables.cells(_linked(line)), rows, section)
            i = end
            continue
        if not line.strip():
            i += 1
            continue
        end = i + 1
        while end < n and lines[end].strip() and not _breaks(lines, end):
            end += 1
        for text in lines[i:end]:
            said_in_line(text, notes)
        yield from prose.between([_linked(text) for text in lines[i:end]], i + 1, section)
        i = end


def _series(above: Sequence[str]) -> str:
    """What rows of `ep 3: 6.18` below a title that names no quantity are: the only loss that the text spoke of."""
    named = {found.lower() for line in above for found in _LOSS.findall(line)}
    return named.pop() if len(named) == 1 else ""


def _breaks(lines: Sequence[str], k: int) -> bool:
    """Whether a new block begins at a line."""
    line = lines[k]
    return bool(
        _ITEM.match(line)
        or _HEADING.match(line)
        or _FENCE.match(line)
        or _LABEL.match(line)
        or ("|" in line and k + 1 < len(lines) and _RULE.match(lines[k + 1]))
    )


def _linked(line: str) -> str:
    """A line whose links read as their text and whose tags are gone."""
    if "<" not in line and "](" not in line:
        return line
    return _HTML.sub(lambda m: m.group(1) or "", _COMMENT.sub("", line))


def _fenced(lines: Sequence[str], first: int, section: str, kind: str, notes: Notes) -> Iterator[Draft]:
    start = next((line.lstrip() for line in lines if line.strip()), "")
    if kind in ("json", "jsonl", "json5") or (not kind and start[:1] in "{[" and start.rstrip()[-1:] in '{[}],"'):
        yield from json_text.between(lines, first, notes, section)
    elif kind in ("yaml", "yml"):  # settings, most often of an example: states and losses are told apart by their names
        said = yaml_text.between(lines, first, notes, section)
        yield from (draft for draft in said if draft.status_raw or is_loss(draft.name))
    elif kind in _SHELL:
        if any(_PROMPT.match(line) for line in lines):  # what the commands printed; without them it is how to do it
            rest = ["" if _VARIABLE.match(line) else line for line in lines]
            yield from _printed(rest, first, section, notes)
    elif kind not in _CODE:
        yield from _printed(lines, first, section, notes)


def _printed(lines: Sequence[str], first: int, section: str, notes: Notes) -> Iterator[Draft]:
    """What a fence shows of a log, without the options of its commands: a README says with them how to do something."""
    rest = list(lines)
    for k in [k for k in range(1, len(lines)) if _RULE.match(lines[k]) and "|" in lines[k - 1]]:
        end = next((n for n in range(k + 1, len(lines)) if "|" not in lines[n]), len(lines))
        rows = [(first + n, tables.cells(lines[n])) for n in range(k + 1, end)]
        yield from tables.of_rows(tables.cells(lines[k - 1]), rows, section)
        rest[k - 1 : end] = [""] * (end - k + 1)
    for draft in run_log.between(rest, first, section, notes):
        if not draft.name.startswith("--"):
            yield draft
