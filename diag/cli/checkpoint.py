"""The `checkpoint` command: static audit, table of tensors, comparison, and how a terminal shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from diag.checkpoints import VERDICTS, audit_checkpoint, checksum_matches, compare_checkpoints, open_checkpoint
from diag.cli import render
from diag.progress import Progress
from diag.report import numbers
from diag.report.look import said
from diag.report.parts import Word
from diag.report.terminal import table, text
from diag.results import codec

MAX_ROWS = 40  # of a comparison on a terminal; --json has all of them
_SAME = ("equal", "close")
_FROM = {"file": "", "inferred": " (inferred from names and shapes)", "default": " (family default)"}


@dataclass(frozen=True)
class CheckpointOptions:
    """What the options ask for; see the command's help."""

    path: Path
    compare: Path | None
    tensors: bool
    verify: bool


def run(request: CheckpointOptions, progress: Progress) -> dict[str, Any]:
    """`checkpoint --json`."""
    opened = open_checkpoint(request.path)
    other = open_checkpoint(request.compare) if request.compare else None
    share = 0.5 if other else 1.0
    audit = audit_checkpoint(opened, lambda done, text: progress(share * done, text))
    result = audit.to_json()
    result["checksum_matches"] = checksum_matches(opened) if request.verify else None
    result["tensor_table"] = codec.plain(audit.stats) if request.tensors else None
    result["compare"] = None
    if other:
        result["compare"] = compare_checkpoints(
            opened, other, lambda done, text: progress(share + (1 - share) * done, text)
        ).to_json()
    return result


def draw(console: Console, value: dict[str, Any]) -> None:
    """Tie status, findings, numbers; then tensors and comparison where they were asked for."""
    tie = value["tie"]
    console.print(text(Word(tie["status"], tie.get("sentence", ""), of="tie status:")))
    if value["checksum_matches"] is not None:
        says = (
            "matches" if value["checksum_matches"] else "does not match: the file was changed or damaged; copy it again"
        )
        console.print(Text(f"the file's checksum {says}"))
    rows = [
        (Word(f["severity"]), f["code"], f["tensor"] or "", " ".join(filter(None, (f["message"], f.get("fix")))))
        for f in value["findings"]
    ]
    console.print(table(("severity", "code", "tensor", "message"), rows) if rows else Text("No findings."))
    hidden = ("tie", "findings", "config", "compare", "tensor_table")
    render.mapping(console, {key: item for key, item in value.items() if key not in hidden})
    sources = value["config"].get("sources") or {}
    render.mapping(
        console,
        {
            key: f"{numbers.value(item)}{_FROM.get(sources.get(key, 'file'), '')}"
            for key, item in value["config"].items()
            if key != "sources"
        },
    )
    if value["tensor_table"] is not None:
        _tensors(console, value["tensor_table"])
    if value["compare"]:
        _comparison(console, value["compare"])


def _tensors(console: Console, rows: list[dict[str, Any]]) -> None:
    keys = ("mean", "std", "min", "max", "zeros", "nonfinite", "row_norm_cv")
    names = ("tensor", "stored as", "shape", *(key.replace("_", " ") for key in keys))
    lines = [
        (row["name"], row["dtype"], " × ".join(map(str, row["shape"])), *(numbers.figure(row[key]) for key in keys))
        for row in rows
    ]
    console.print(table(names, lines, numeric=range(3, 3 + len(keys))))


def _comparison(console: Console, value: dict[str, Any]) -> None:
    counts = ", ".join(f"{value['counts'][v]:,} {said(v)}" for v in VERDICTS if v in value["counts"])
    console.print(Text(f"Compared with {value['path']}", style="bold"), Text(counts))
    odd = [row for row in value["rows"] if row["verdict"] not in _SAME]
    rows = [
        (
            row["name"] + (f" ×{row['count']}" if row["count"] > 1 else ""),
            Word(row["verdict"]),
            numbers.figure(row["max_abs_diff"]),
            numbers.figure(row["relative"]),
            numbers.figure(row["cosine"]),
            numbers.percent(row["equal_rows_share"]),
            row["detail"],
        )
        for row in (odd or value["rows"])[:MAX_ROWS]
    ]
    names = ("tensor", "verdict", "max |Δ|", "‖Δ‖ / ‖there‖", "cosine", "equal rows", "what it is")
    console.print(table(names, rows, numeric=(2, 3, 4, 5)))
    if len(odd) > MAX_ROWS:
        console.print(Text(f"… and {len(odd) - MAX_ROWS:,} more rows: see --json."))
    render.sentences(console, [f"config {d['key']}: {d['here']!r} here, {d['there']!r} there" for d in value["config"]])
