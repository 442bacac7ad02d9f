"""`evidence …`: what is known already; `report`: a record as text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from diag import extras
from diag.cli import options as o
from diag.cli import render
from diag.errors import InputError
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
RecordId = Annotated[str, typer.Argument(help="The id that `test` printed.")]
Format = Annotated[Literal["md"], typer.Option("--format", help="md: GitHub Markdown.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write here instead of to the screen.")]
INDEX = "The index of evidence"


def add_to(app: typer.Typer) -> None:
    """The group, and `report`."""
    group.command(
        epilog=o.examples("subrandom evidence index notes/ logs/", "subrandom evidence index notes/ --db notes.duckdb")
    )(index)
    group.command(
        epilog=o.examples('subrandom evidence search "19.80"', 'subrandom evidence search "H4A confirmed" --json')
    )(search)
    app.add_typer(group, name="evidence")
    app.command(
        epilog=o.examples(
            "subrandom report 0123456789abcdef", "subrandom report 0123456789abcdef --format md --out report.md"
        )
    )(report)


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


def report(record_id: RecordId, *, format: Format = "md", out: Out = None, evidence: o.EvidenceDir = None) -> None:
    """A record as a report, for a pull request or an issue."""
    from diag.evidence.records import read_record
    from diag.report.markdown import report_markdown

    settings = load_settings()
    text = report_markdown(read_record(evidence or settings.evidence_dir, record_id), settings.base_url)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        fix = "Name a file in a folder that is there."
        raise InputError(f"The report cannot be written: {error.strerror}.", where=str(out), fix=fix) from error
