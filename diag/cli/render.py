"""What people see: rich tables on stdout, a progress bar on stderr. Text from files is printed literally."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from diag.cli import interrupt
from diag.errors import one_line
from diag.progress import Progress, silent
from diag.report import numbers, terminal
from diag.report.parts import Section
from diag.results import codec

if TYPE_CHECKING:
    from diag.evidence.records import NotWritten


@dataclass(frozen=True)
class Answer:
    """What a command found about a case: the object of --json, and the sections that a terminal draws. unwritten: the
    record that the disk refused."""

    value: dict[str, Any]
    sections: tuple[Section, ...]
    unwritten: NotWritten | None = None


class _Console(Console):
    """rich's, which ends with exit code 1 when nobody reads on; that code is taken: a failed gate."""

    def on_broken_pipe(self) -> None:
        """Leave it to `main`."""
        raise BrokenPipeError


def show(value: dict[str, Any], draw: Callable[[Console, dict[str, Any]], None], as_json: bool) -> None:
    """Print JSON on one stdout, or draw for people."""
    if as_json:
        sys.stdout.write(codec.dumps(value) + "\n")
    else:
        draw(_Console(highlight=False), value)


def answer(found: Answer, as_json: bool) -> None:
    """Print the JSON, or draw the sections. A record that was not written is in the one, and follows the other as it
    is; then the NotWritten is raised, so that nobody takes the result for recorded."""
    show(found.value, lambda console, _: terminal.draw(console, found.sections), as_json)
    if found.unwritten:
        if not as_json:
            sys.stdout.write(found.unwritten.text + "\n")
        raise found.unwritten


@contextmanager
def progress(title: str, *, quiet: bool) -> Iterator[Progress]:
    """A progress bar on stderr; silent with --json or when stderr is no terminal."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield interrupt.checked(silent)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with RichProgress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0)

        def say(fraction: float | None, text: str) -> None:
            if fraction is not None:
                bar.update(task, completed=fraction, description=Text(one_line(text, 60)).plain)

        yield interrupt.checked(say)


def mapping(console: Console, value: dict[str, Any]) -> None:
    """Keys and values, one a line."""
    drawn = Table(show_header=False, box=None, pad_edge=False)
    for key, item in value.items():
        drawn.add_row(Text(key.replace("_", " "), style="bold"), Text(one_line(numbers.value(item))))
    console.print(drawn)


def demo(console: Console, value: dict[str, Any]) -> None:
    """Where everything is."""
    console.print(Text(f"The demo is in {value['dir']}"))
    rows = [
        (c["name"], ", ".join(c["planted"]) or "nothing: healthy", c["checkpoint"], c["reference"] or "")
        for c in value["cases"]
    ]
    console.print(terminal.table(("case", "planted", "checkpoint", "reference"), rows))


def sentences(console: Console, lines: list[str]) -> None:
    """One bullet each."""
    for sentence in lines:
        console.print(Text(f"• {sentence}"))
