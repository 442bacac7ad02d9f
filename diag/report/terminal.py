"""The sections drawn on a terminal with rich, which only the command line has. Text from files is printed literally."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from diag.errors import one_line
from diag.report.look import look
from diag.report.parts import Cell, Code, Section, Table, Word

MAX_CELL, MAX_LINE = 400, 4_000


def draw(console: Console, sections: Iterable[Section]) -> None:
    """Every section under its title, an empty line between them."""
    for number, section in enumerate(sections):
        if number:
            console.print()
        console.print(Text(section.title, style="bold underline"))
        for item in section.items:
            if isinstance(item, Table):
                console.print(table(item.head, item.rows, numeric=item.numeric))
            elif isinstance(item, Code):
                console.print(Text(item.text))
            else:
                console.print(text(item, MAX_LINE))


def text(cell: Cell, limit: int = MAX_CELL) -> Text:
    """One line as it stands; a status word behind its mark, both in its tone."""
    if not isinstance(cell, Word):
        return Text(one_line(cell, limit))
    found = look(cell.word)
    label = Text(f"{found.mark} {one_line(cell.label, limit)}", style=found.ink.terminal)
    return Text.assemble(label, f": {one_line(cell.text, limit)}") if cell.text else label


def table(
    head: Sequence[str], rows: Iterable[Sequence[Cell]], limit: int = MAX_CELL, numeric: Sequence[int] = ()
) -> RichTable:
    """Literal cells of at most `limit` characters under plain heads; columns of numbers to the right."""
    drawn = RichTable(box=None, pad_edge=False)
    for number, name in enumerate(head):
        drawn.add_column(Text(name), justify="right" if number in numeric else "left")
    for row in rows:
        drawn.add_row(*(text(cell, limit) for cell in row))
    return drawn
