"""The sections of a record as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from diag.errors import one_line
from diag.report.look import look
from diag.report.of_record import LINK, of_record
from diag.report.parts import Cell, Code, Section, Table, Word
from diag.results.record import Record

MAX_REPORT = 65_536  # what one GitHub comment holds
CELL_CHARS = (300, 120, 60)  # a table cell, and what it shrinks to when the report is too long
MAX_PARAGRAPH = 4_000

_BREAK = "\u200b"  # zero-width: keeps @name, #12 and addresses from becoming mentions and links
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_STARTS_A_BLOCK = re.compile(r"[-+=]+(\s|$)|--|\d+[.)](\s|$)")


def report_markdown(record: Record, base_url: str | None = None) -> str:
    """The report of a record, at most 65,536 characters (and bytes): what does not fit is left out and named.

    The conclusion comes first. Text from records is escaped, so that no file can write HTML, links or mentions.
    """
    sections = of_record(record, base_url)
    title = f"# Subrandom record `{record.id}`\n\n{escape(record.kind)}, {escape(record.created)}\n"
    for cell in CELL_CHARS:
        text = _join(title, sections, base_url, cell, ())
        if _length(text) <= MAX_REPORT:
            return text
    kept = list(sections)
    # The optional ones go first, then from the end, because sections stand in the order of their weight.
    last_first = list(sections[::-1])
    for section in sorted(last_first, key=lambda section: not section.optional):
        if section.title not in ("Conclusion", LINK):
            kept.remove(section)
            left_out = tuple(section.title for section in sections if section not in kept)
            text = _join(title, kept, base_url, CELL_CHARS[-1], left_out)
            if _length(text) <= MAX_REPORT:
                break
    return text


def escape(text: str, limit: int = MAX_PARAGRAPH) -> str:
    """Untrusted text as one line of literal Markdown, safe in a paragraph and in a table cell."""
    safe = one_line(text, limit).translate(_ENTITIES)
    safe = _SPECIAL.sub(r"\\\1", safe)
    safe = safe.replace("@", f"@{_BREAK}").replace("://", f":{_BREAK}//").replace("www.", f"www{_BREAK}.")
    safe = re.sub(r"(\\#|GH-)(?=\d)", rf"\1{_BREAK}", safe, flags=re.I)
    return f"{_BREAK}{safe}" if _STARTS_A_BLOCK.match(safe.lstrip()) else safe


def _join(title: str, sections: Sequence[Section], base_url: str | None, cell: int, left_out: tuple[str, ...]) -> str:
    parts = [title, *(_section(section, base_url, cell) for section in sections)]
    if left_out:
        names = ", ".join(left_out)
        parts.append(f"Left out, because a comment holds {MAX_REPORT:,} characters: {names}. The record has it all.\n")
    return "\n".join(parts)


def _section(section: Section, base_url: str | None, cell: int) -> str:
    lines = [f"## {section.title}", ""]
    for item in section.items:
        if isinstance(item, Table):
            lines += [*_table(item, cell), ""]
        elif isinstance(item, Code):
            lines += [*_code(item.text), ""]
        elif isinstance(item, Word):
            lines += [_word(item, MAX_PARAGRAPH), ""]
        else:
            # Our own link is the only address that stays one.
            own = base_url is not None and section.title == LINK
            lines += [f"<{item}>" if own else escape(item), ""]
    if section.optional:
        lines = [f"<details><summary>{section.title}</summary>", "", *lines[2:], "</details>", ""]
    return "\n".join(lines)


def _table(table: Table, cell: int) -> list[str]:
    rule = ["---:" if column in table.numeric else "---" for column in range(len(table.head))]
    rows = [[_cell(text, cell) for text in row] for row in table.rows]
    return [f"| {' | '.join(row)} |" for row in ([*table.head], rule, *rows)]


def _cell(cell: Cell, limit: int) -> str:
    return _word(cell, limit) if isinstance(cell, Word) else escape(cell, limit)


def _word(word: Word, limit: int) -> str:
    """The mark, which no file can have written, then the word."""
    return f"{look(word.word).mark} {escape(word.sentence, limit)}"


def _code(text: str) -> list[str]:
    """A fence longer than any run of backticks inside, so that the text cannot close it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", text, fence]


def _length(text: str) -> int:
    return max(len(text), len(text.encode()))
