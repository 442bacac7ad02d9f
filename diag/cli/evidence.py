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
Identifier = Annotated[str, typer.Argument(help="A part of an identifier: FALSIFY-005, GATE-TRAIN …")]
Statement = Annotated[str, typer.Argument(help="One SELECT.")]
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
    group.command(epilog=o.examples("subrandom evidence conflicts", "subrandom evidence conflicts --json"))(conflicts)
    group.command(epilog=o.examples("subrandom evidence ledger", "subrandom evidence ledger FALSIFY-005"))(ledger)
    group.command(
        epilog=o.examples(
            'subrandom evidence sql "SELECT key, count(*) FROM facts GROUP BY key"',
            "subrandom evidence sql \"SELECT run, min(number) FROM facts WHERE unit = 'nats' GROUP BY run\" --json",
        )
    )(sql)
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
    """Numbers and states that documents give.

    Each with its unit, file and line; and what was not read, and why.
    """
    extras.require("duckdb", INDEX)
    from diag.cli.evidence_known import draw_facts, run_facts

    render.show(run_facts(key, run, db), draw_facts, json)


def conflicts(*, db: Database = None, json: o.Json = False) -> None:
    """Contradictions and traps in documents.

    Two numbers for one thing, units taken for others, passes that were none.
    """
    extras.require("duckdb", INDEX)
    from diag.cli.evidence_known import draw_conflicts, run_conflicts

    render.show(run_conflicts(db), draw_conflicts, json)


def ledger(identifier: Identifier = "", *, db: Database = None, json: o.Json = False) -> None:
    """What was said of gates and tickets, by date."""
    extras.require("duckdb", INDEX)
    from diag.cli.evidence_known import draw_ledger, run_ledger

    render.show(run_ledger(identifier, db), draw_ledger, json)


def sql(statement: Statement, *, db: Database = None, json: o.Json = False) -> None:
    """Answer one SELECT over facts and records.

    The tables are facts, files, records and left_out. Read-only, with limits of time, memory and rows.
    """
    extras.require("duckdb", INDEX)
    from diag.cli.evidence_known import draw_sql, run_sql

    render.show(run_sql(statement, db), draw_sql, json)
