"""`evidence …`: what is known already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diag import extras
from diag.cli import options as o
from diag.cli import render
from diag.results import codec
from diag.settings import load_settings

group = typer.Typer(
    help="What is known already: records and evidence folders.",
    epilog=o.examples("subrandom evidence index notes/", 'subrandom evidence search "19.80"'),
    rich_markup_mode=None,
    invoke_without_command=True,
    callback=o.help_without_command,
)

Folders = Annotated[list[Path], typer.Argument(help="Evidence folders.")]
Query = Annotated[str, typer.Argument(help="Words, numbers or ids; * stands for any characters.")]
Database = Annotated[Path | None, typer.Option("--db", help="The index file [default: settings].")]
Key = Annotated[str | None, typer.Option("--key", help="Only facts whose key holds this: val_loss, shards …")]
RunName = Annotated[str | None, typer.Option("--run", help="Only facts of runs whose name holds this.")]
INDEX = "The index of evidence"


def add_to(app: typer.Typer) -> None:
    """The group."""
    group.command(
        epilog=o.examples("subrandom evidence index notes/ logs/", "subrandom evidence index notes/ --db notes.duckdb")
    )(index)
    group.command(
        epilog=o.examples('subrandom evidence search "19.80"', 'subrandom evidence search "H4A confirmed" --json')
    )(search)
    group.command(
        epilog=o.examples("subrandom evidence facts --key val_loss", "subrandom evidence facts --run my-run --json")
    )(facts)
    app.add_typer(group, name="evidence")


def index(folders: Folders, *, db: Database = None, json: o.Json = False) -> None:
    """Read evidence folders into the index.

    Only what changed is read again.
    """
    extras.require("duckdb", INDEX)
    from diag.evidence.index import index_path, sync

    render.show(codec.plain(sync(folders, db or index_path(load_settings()))), render.mapping, json)


def search(query: Query, *, db: Database = None, json: o.Json = False) -> None:
    """Search records and evidence folders."""
    extras.require("duckdb", INDEX)
    from diag.cli.search import draw, run

    render.show(run(query, db), draw, json)


def facts(*, key: Key = None, run: RunName = None, db: Database = None, json: o.Json = False) -> None:
    """What documents state: numbers with units, states, each with file and line.

    Also lists what was not read, and why.
    """
    extras.require("duckdb", INDEX)
    from diag.cli.evidence_known import draw_facts, run_facts

    render.show(run_facts(key, run, db), draw_facts, json)
