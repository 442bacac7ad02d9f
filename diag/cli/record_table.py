"""What `records` shows: one row a record, one record, and where its page is."""

from __future__ import annotations

import os
import sys
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from diag.evidence.record_names import all_records, newest, resolve_id, shortened
from diag.evidence.records import read_record, record_path
from diag.report import numbers
from diag.report.brief import brief, short_name
from diag.report.look import look, marked
from diag.report.parts import Section
from diag.report.sections import of_result
from diag.report.terminal import table
from diag.results import codec
from diag.results.record import Record

ANSWER_SECONDS = 1.0


def listed(evidence_dir: Path) -> dict[str, Any]:
    """`records list --json`."""
    records, problems = all_records(evidence_dir)
    short = shortened(record.id for record in records)
    return {"records": [_row(record, short[record.id], evidence_dir) for record in records], "problems": problems}


def _row(record: Record, short: str, evidence_dir: Path) -> dict[str, Any]:
    case, conclusion = record.to_case(), record.diagnosis.conclusion if record.diagnosis else None
    return {
        "id": record.id,
        "short": short,
        "created": record.created,
        "kind": record.kind,
        "case": record.case_id,
        "checkpoint": case.checkpoint,
        "shard": case.shard,
        "reference": case.reference,
        "loss_nats": codec.plain(record.loss.nats),
        "zone": record.loss.zone,
        "conclusion": conclusion.kind if conclusion else None,
        "hypotheses": list(conclusion.hypotheses) if conclusion else [],
        "path": str(record_path(evidence_dir, record.id)),
    }


def draw(console: Console, value: dict[str, Any]) -> None:
    """Newest first; what is no record below."""
    rows = [
        (
            row["short"],
            row["created"][:10],
            marked(row["conclusion"] or row["zone"] or "measured"),
            numbers.number(codec.number(row["loss_nats"])),
            ", ".join(row["hypotheses"]) or numbers.NOTHING,
            short_name(row["checkpoint"]),
            short_name(row["shard"]),
        )
        for row in value["records"]
    ]
    head = ("id", "made", "conclusion", "nats", "cause", "checkpoint", "shard")
    console.print(table(head, rows, numeric=(3,)) if rows else Text("No record yet. Run a test."))
    for problem in value["problems"]:
        console.print(Text(f"• {problem}"))


def read(evidence_dir: Path, text: str | None) -> Record:
    """The record that a (short) id names; the newest without one."""
    return read_record(evidence_dir, resolve_id(evidence_dir, text)) if text else newest(evidence_dir)


def sections(record: Record) -> tuple[Section, ...]:
    """The verdict with the case's name, what to do, then the sections of the result."""
    found = brief(record)
    head = Section(f"{look(found.word).mark} {found.title}", (f"Record {record.id}, {record.created}.",))
    return (head, Section("What to do", found.todo), *of_result(record.result, record.to_case().claim))


def draw_link(console: Console, value: dict[str, Any]) -> None:
    """The address, and what to do where nothing answers there."""
    console.print(Text(value["url"]), soft_wrap=True)
    if not value["answers"]:
        console.print(Text("Nothing answers there yet. Start the dashboard: subrandom app"))


def answers(url: str) -> bool:
    """Whether a Subrandom answers at this address."""
    try:
        with urllib.request.urlopen(f"{url.rpartition('/r/')[0]}/healthz", timeout=ANSWER_SECONDS) as reply:
            return b'"status"' in reply.read(200)
    except (OSError, ValueError):
        return False


def browse(url: str) -> bool:
    """Open a browser on a screen; never one inside a terminal, which would take it over."""
    screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen and sys.stdout.isatty() and webbrowser.open(url))
