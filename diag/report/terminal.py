"""The sections drawn on a terminal with rich, which only the command line has. Text from files is printed literally."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from diag.errors import one_line
from diag.report import numbers
from diag.report.look import look
from diag.report.parts import Cell, Code, Section, Table, Word

MAX_CELL, MAX_LINE = 400, 4_000
GAP, INDENT = 2, 2  # between columns; of what stands below a name


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
) -> Fitting:
    """Literal cells of at most `limit` characters under plain heads; columns of numbers to the right."""
    return Fitting(tuple(head), [[text(cell, limit) for cell in row] for row in rows], tuple(numeric))


@dataclass(frozen=True)
class Fitting:
    """A table that breaks between words only, so that no name of a tensor is cut. Where its longest words do not fit
    beside each other, the column of the longest stands on lines of its own, and the others below it."""

    head: tuple[str, ...]
    rows: list[list[Text]]
    numeric: tuple[int, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Drawn as wide as it is given room."""
        columns = list(range(len(self.head)))
        if self._fits(columns, options.max_width):
            yield self._drawn(columns, self.rows, options.max_width)
            return
        longest = max(columns, key=lambda at: self._least([at])[0])
        others = [at for at in columns if at != longest]
        beside = bool(others) and self._fits(others, options.max_width - INDENT)
        if beside:
            yield Text(self.head[longest], style="bold")
            yield Padding(self._drawn(others, [], options.max_width - INDENT), (0, 0, 0, INDENT))
        for row in self.rows:
            yield row[longest] if beside else Text.assemble((f"{self.head[longest]}: ", "dim"), row[longest])
            if beside:
                yield Padding(self._drawn(others, [row], options.max_width - INDENT), (0, 0, 0, INDENT))
            else:
                yield from (
                    Text.assemble((f"  {self.head[at]}: ", "dim"), row[at])
                    for at in others
                    if row[at].plain.strip() not in ("", numbers.NOTHING)
                )

    def _least(self, columns: Sequence[int]) -> list[int]:
        """The longest word of each."""
        return [
            max(_longest_word(cell) for cell in (Text(self.head[at]), *(row[at] for row in self.rows)))
            for at in columns
        ]

    def _fits(self, columns: Sequence[int], width: int) -> bool:
        return sum(self._least(columns)) + GAP * (len(columns) - 1) <= width

    def _drawn(self, columns: Sequence[int], rows: Sequence[Sequence[Text]], width: int) -> RichTable:
        """These columns, as wide as all rows need, whichever are drawn; a single one has no head."""
        whole = [max(Text(self.head[at]).cell_len, *(row[at].cell_len for row in self.rows), 0) for at in columns]
        widths = _widths(self._least(columns), whole, width - GAP * (len(columns) - 1))
        drawn = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=len(rows) != 1)
        for at, wide in zip(columns, widths, strict=True):
            justify: Literal["left", "right"] = "right" if at in self.numeric else "left"
            drawn.add_column(Text(self.head[at]), justify=justify, width=wide)
        for row in rows:
            drawn.add_row(*(row[at] for at in columns))
        return drawn


def _longest_word(cell: Text) -> int:
    return max((cell_len(word) for word in cell.plain.split()), default=0)


def _widths(least: Sequence[int], whole: Sequence[int], room: int) -> list[int]:
    """Every column its longest word; what is left goes to those that want more, evenly."""
    widths = list(least)
    left = room - sum(widths)
    while left > 0 and (short := [at for at, width in enumerate(widths) if width < whole[at]]):
        for at in short[:left]:
            widths[at] += 1
            left -= 1
    return widths
