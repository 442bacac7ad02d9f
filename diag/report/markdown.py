"""The sections of a record as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from diag.errors import one_line
from diag.report import numbers
from diag.report.brief import brief, cells
from diag.report.look import look
from diag.report.of_record import of_record
from diag.report.parts import Cell, Code, Section, Table, Word
from diag.report.ruler_text import ruler_text
from diag.results.record import Record
from diag.results.ruler import Loss

MAX_REPORT = 65_536  # what one GitHub comment holds
CELL_CHARS = (300, 120, 60)  # a table cell, and what it shrinks to when the report is too long
MAX_PARAGRAPH = 4_000
MAX_TITLE = 400
MAX_TODO = 12
_IN_HEAD = ("Conclusion", "Ruler", "What to change")  # said by the head, in fewer words

_BREAK = "\u200b"  # zero-width: keeps @name, #12 and addresses from becoming mentions and links
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SPECIAL = re.compile(r"([\\`*_\[\]#|~$])")
_STARTS_A_BLOCK = re.compile(r"[-+=]+(\s|$)|--|\d+[.)](\s|$)")


def report_markdown(record: Record, base_url: str | None = None) -> str:
    """The report of a record, at most 65,536 characters (and bytes): what does not fit is left out and named.

    First line: the verdict and the case's name. Then one small table, the ruler in characters and what to do; all else
    is folded. Text from records is escaped, so that no file can write HTML, links or mentions.
    """
    sections = [section for section in of_record(record, base_url) if section.title not in _IN_HEAD]
    head, link = _head(record), _link(sections.pop(), base_url)
    for cell in CELL_CHARS:
        text = _join(head, sections, link, cell, ())
        if _length(text) <= MAX_REPORT:
            return text
    kept = list(sections)
    # The optional ones go first, then from the end, because sections stand in the order of their weight.
    last_first = list(sections[::-1])
    for section in sorted(last_first, key=lambda section: not section.optional):
        kept.remove(section)
        left_out = tuple(section.title for section in sections if section not in kept)
        text = _join(head, kept, link, CELL_CHARS[-1], left_out)
        if _length(text) <= MAX_REPORT:
            break
    return text


def _head(record: Record) -> str:
    """What a reader sees without unfolding anything."""
    found, loss = brief(record), record.loss
    table = Table(
        ("", "nats a token", "bits", "perplexity"), tuple(map(cells, (*found.losses, *found.marks))), (1, 2, 3)
    )
    claim = record.to_case().claim
    losses = [*((mark.what, mark.nats) for mark in found.losses), *([("claimed", claim.nats)] if claim else [])]
    lines = [
        f"### {look(found.word).mark} {escape(found.title, MAX_TITLE)}",
        "",
        escape(found.text),
        "",
        *table_lines(table, CELL_CHARS[0]),
        "",
        "```text",
        ruler_text(loss.ruler, losses),
        "```",
        "",
        f"n = {loss.tokens:,} tokens in {loss.sequences:,} sequences.{_gate(loss)}",
        "",
        "#### What to do",
        "",
        *(f"- {escape(line)}" for line in found.todo[:MAX_TODO]),
    ]
    more = len(found.todo) - MAX_TODO
    return "\n".join([*lines, *([f"- And {more} more in the record."] if more > 0 else []), ""])


def _gate(loss: Loss) -> str:
    return (
        f" Gate, loss below {numbers.nats(loss.gate.below)}: {look(loss.gate.word).mark} {loss.gate.word}."
        if loss.gate
        else ""
    )


def _link(section: Section, base_url: str | None) -> str:
    """The permanent link, the only address that stays one; without a base_url the sentence that says where it works."""
    return "\n\n".join(f"Record: <{item}>" if base_url else f"<sub>{escape(str(item))}</sub>" for item in section.items)


def escape(text: str, limit: int = MAX_PARAGRAPH) -> str:
    """Untrusted text as one line of literal Markdown, safe in a paragraph and in a table cell."""
    safe = one_line(text, limit).translate(_ENTITIES)
    safe = _SPECIAL.sub(r"\\\1", safe)
    safe = safe.replace("@", f"@{_BREAK}").replace("://", f":{_BREAK}//").replace("www.", f"www{_BREAK}.")
    safe = re.sub(r"(\\#|GH-)(?=\d)", rf"\1{_BREAK}", safe, flags=re.I)
    return f"{_BREAK}{safe}" if _STARTS_A_BLOCK.match(safe.lstrip()) else safe


def _join(head: str, sections: Sequence[Section], link: str, cell: int, left_out: tuple[str, ...]) -> str:
    parts = [head, *(_section(section, cell) for section in sections)]
    if left_out:
        names = ", ".join(left_out)
        parts.append(f"Left out, because a comment holds {MAX_REPORT:,} characters: {names}. The record has it all.\n")
    return "\n".join([*parts, f"{link}\n"])


def _section(section: Section, cell: int) -> str:
    lines = [f"<details><summary>{section.title}</summary>", ""]
    for item in section.items:
        if isinstance(item, Table):
            lines += [*table_lines(item, cell), ""]
        elif isinstance(item, Code):
            lines += [*fenced(item.text), ""]
        elif isinstance(item, Word):
            lines += [_word(item, MAX_PARAGRAPH), ""]
        else:
            lines += [escape(item), ""]
    return "\n".join([*lines, "</details>", ""])


def table_lines(table: Table, cell: int) -> list[str]:
    """A table, each cell of at most `cell` characters."""
    rule = ["---:" if column in table.numeric else "---" for column in range(len(table.head))]
    rows = [[_cell(text, cell) for text in row] for row in table.rows]
    return [f"| {' | '.join(row)} |" for row in ([*table.head], rule, *rows)]


def _cell(cell: Cell, limit: int) -> str:
    return _word(cell, limit) if isinstance(cell, Word) else escape(cell, limit)


def _word(word: Word, limit: int) -> str:
    """The mark, which no file can have written, then the word."""
    return f"{look(word.word).mark} {escape(word.sentence, limit)}"


def fenced(text: str, language: str = "sh") -> list[str]:
    """A fence longer than any run of backticks inside, so that the text cannot close it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text, fence]


def _length(text: str) -> int:
    return max(len(text), len(text.encode()))
