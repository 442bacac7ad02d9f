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
from diag.results.finding import STATUS_WORDS
from diag.results.ruler import ZONE_WORDS
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


def forward(console: Console, value: dict[str, Any]) -> None:
    """The loss on its ruler, then the layers."""
    ruler = value["ruler"]
    console.print(Text(f"{in_all_units(value['loss_nats'])}: {ZONE_WORDS[value['zone']]}", style="bold"))
    console.print(
        Text(f"± {nats(value['stderr_nats'])} over {value['tokens']:,} tokens, {value['device']}, {value['dtype']}")
    )
    rows = [
        ("chance, ln V", in_all_units(ruler["chance_nats"])),
        ("unigram", in_all_units(ruler["unigram_nats"])),
        ("held-out bigram", in_all_units(ruler["bigram_nats"])),
        ("reference", in_all_units(ruler["reference_nats"])),
    ]
    console.print(table(("ruler", "loss"), rows))
    if value["skill"] is not None:
        console.print(Text(f"skill {value['skill']:.2f} (1 − loss ÷ unigram; 0 knows counts only, below is worse)"))
    keys = ("index", "residual_rms", "attention_share", "mlp_share", "logit_lens_nats", "nonfinite")
    console.print(table(keys, [tuple(number(layer[key]) for key in keys) for layer in value["layers"]]))
    sentences(console, [f"{f['tensor']}: {f['message']}" for f in value["findings"]] + value["notes"])


def test(console: Console, value: dict[str, Any]) -> None:
    """The conclusion first, then the findings, then where the record is."""
    conclusion = value["conclusion"]
    console.print(Text(conclusion["kind"].replace("_", " "), style="bold"), Text(conclusion["text"]))
    zone = ZONE_WORDS[value["zone"]] if value["zone"] else "no loss"
    console.print(Text(f"as loaded {in_all_units(value['loss_nats'])}: {zone}"))
    table = Table(
        "id", "status", "best repair", "loss, nats", "Δ ± SE, nats", "on top of the others", box=None, pad_edge=False
    )
    for f in value["findings"]:
        best = next((r for r in f["repairs"] if r["name"] == f["best_repair"]), None)
        delta, on_top = (_plus_minus(best, key) if best else "" for key in ("", "on_top_"))
        table.add_row(
            f["id"],
            Text(f["status"], style=STYLES.get(f["status"], "")),
            Text(f["best_repair"] or ""),
            number(best["loss_nats"]) if best else "",
            delta,
            on_top,
        )
    console.print(table)
    for f in value["findings"]:
        says = f["reason"] or STATUS_WORDS[f["status"]]
        console.print(Text(f"{f['id']} {f['status']}. {says} {f['would_decide']}".strip()))
        console.print(Text(f"     Seen: {one_line(f['signature']['detail'], 300)}", style="dim"))
    if value["gate"]:
        console.print(Text(f"gate, loss below {value['gate']['below']} nats: {value['gate']['word']}"))
    sentences(console, value["notes"])
    console.print(Text(f"record {value['record']['id']}  {value['record']['path']}"))


def search(console: Console, value: dict[str, Any]) -> None:
    """Hits, best first."""
    for hit in value["hits"]:
        console.print(Text(f"{hit['path']}:{hit['line']}", style="bold"), Text(one_line(hit["section"], 80)))
        console.print(Text("  " + one_line(hit["text"], 200)))
    count = len(value["hits"])
    hint = "" if count else ": nothing answers it. Try a number, an id such as H4A, or a status word"
    console.print(Text(f"{count} places for '{one_line(value['query'], 80)}'{hint}"))


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


def _plus_minus(repair: dict[str, Any], key: str) -> str:
    delta, stderr = repair[f"{key}delta_nats"], repair[f"{key}stderr_nats"]
    return "" if delta is None else f"{number(delta)} ± {number(stderr)}"


def short(value: Any) -> str:
    """A value of any kind on one line."""
    return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
