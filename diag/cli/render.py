"""What people see: rich tables on stdout, a progress bar on stderr. Text from files is printed literally."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from diag.cli import interrupt
from diag.errors import one_line
from diag.progress import Progress, silent
from diag.results import codec
from diag.units import bits, perplexity

STYLES = {"confirmed": "bold red", "contributing": "yellow", "refuted": "green", "ok": "green", "error": "bold red"}


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


def nats(value: Any) -> str:
    """A loss with its unit."""
    number = codec.number(value)
    return "none" if number is None else f"{number:.4f} nats"


def in_all_units(value: Any) -> str:
    """A loss in nats, bits and perplexity."""
    number = codec.number(value)
    return (
        "none"
        if number is None
        else f"{number:.4f} nats = {bits(number):.4f} bits, perplexity {perplexity(number):,.1f}"
    )


def mapping(console: Console, value: dict[str, Any]) -> None:
    """Keys and values, one a line."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for key, item in value.items():
        table.add_row(Text(key.replace("_", " "), style="bold"), Text(one_line(short(item))))
    console.print(table)


def demo(console: Console, value: dict[str, Any]) -> None:
    """Where everything is."""
    console.print(Text(f"The demo is in {value['dir']}"))
    rows = [
        (c["name"], ", ".join(c["planted"]) or "nothing: healthy", c["checkpoint"], c["reference"] or "")
        for c in value["cases"]
    ]
    console.print(table(("case", "planted", "checkpoint", "reference"), rows))


def table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]], limit: int = 160) -> Table:
    """Literal cells of at most `limit` characters under plain heads."""
    drawn = Table(*names, box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*(Text(one_line(str(cell), limit)) for cell in row))
    return drawn


def sentences(console: Console, lines: list[str]) -> None:
    """One bullet each."""
    for sentence in lines:
        console.print(Text(f"• {sentence}"))


def number(value: Any) -> str:
    """Four digits; nothing for none."""
    known = codec.number(value)
    return "" if known is None else f"{known:.4g}"


def short(value: Any) -> str:
    """A value of any kind on one line."""
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
