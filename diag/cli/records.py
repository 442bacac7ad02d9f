"""`records list|show|open`: what was recorded here; `report`: a record as text for others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from diag.cli import options as o
from diag.cli import render
from diag.errors import InputError
from diag.settings import load_settings

group = typer.Typer(
    help="The records of this installation.",
    epilog=o.examples("subrandom records list", "subrandom records show 4cfc5095"),
    rich_markup_mode=None,
    invoke_without_command=True,
    callback=o.help_without_command,
)

RecordId = Annotated[str, typer.Argument(help="The id that `test` printed; its first 4 characters may be enough.")]
AnyId = Annotated[
    str | None, typer.Argument(help="The id, or its first 4 characters; without one the newest.", show_default=False)
]
Format = Annotated[
    Literal["md", "html", "upstream"],
    typer.Option("--format", help="md: GitHub Markdown. html: one file with charts. upstream: an issue for others."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Write here instead of to the screen.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Where the dashboard listens.")]


def add_to(app: typer.Typer) -> None:
    """The group, and `report`."""
    group.command("list", epilog=o.examples("subrandom records list", "subrandom records list --json"))(list_)
    group.command(epilog=o.examples("subrandom records show", "subrandom records show 4cfc5095 --json"))(show)
    group.command("open", epilog=o.examples("subrandom records open", "subrandom records open 4cfc5095 --port 8600"))(
        open_
    )
    app.add_typer(group, name="records")
    app.command(
        epilog=o.examples(
            "subrandom report 4cfc5095 --format md", "subrandom report 4cfc5095 --format html --out report.html"
        )
    )(report)


def list_(*, evidence: o.EvidenceDir = None, json: o.Json = False) -> None:
    """Every record, newest first."""
    from diag.cli import record_table as table

    render.show(table.listed(evidence or load_settings().evidence_dir), table.draw, json)


def show(record_id: AnyId = None, *, evidence: o.EvidenceDir = None, json: o.Json = False) -> None:
    """A record as a terminal shows it; with --json its file."""
    from diag.cli import record_table as table
    from diag.report import terminal

    record = table.read(evidence or load_settings().evidence_dir, record_id)
    sections = table.sections(record)
    render.show({"id": record.id, **record.content}, lambda console, _: terminal.draw(console, sections), json)


def open_(record_id: AnyId = None, *, evidence: o.EvidenceDir = None, port: Port = 8501, json: o.Json = False) -> None:
    """The permanent link of a record, opened in a browser where there is one."""
    from diag.cli import record_table as table

    settings = load_settings()
    record = table.read(evidence or settings.evidence_dir, record_id)
    url = f"{settings.base_url or f'http://127.0.0.1:{port}'}/r/{record.id}"
    value: dict[str, Any] = {"id": record.id, "url": url, "answers": table.answers(url)}
    value["opened"] = value["answers"] and not json and table.browse(url)
    render.show(value, table.draw_link, json)


def report(record_id: RecordId, *, format: Format = "md", out: Out = None, evidence: o.EvidenceDir = None) -> None:
    """A record as a report: for a pull request, an issue, or somebody who has nothing of this."""
    from diag.evidence.record_names import resolve_id
    from diag.evidence.records import read_record

    settings = load_settings()
    folder = evidence or settings.evidence_dir
    record = read_record(folder, resolve_id(folder, record_id))
    if format == "upstream":
        from diag.report.upstream import upstream

        text = upstream(record)
    elif format == "html":
        from diag.share.html import report_html

        text = report_html(record, settings.base_url)
    else:
        from diag.report.markdown import report_markdown

        text = report_markdown(record, settings.base_url)
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        fix = "Name a file in a folder that is there."
        raise InputError(f"The report cannot be written: {error.strerror}.", where=str(out), fix=fix) from error
