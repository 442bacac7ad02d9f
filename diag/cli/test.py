"""The `test` command: the diagnosis with its record, and how a terminal shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from diag.case import Case
from diag.cli import render
from diag.errors import one_line
from diag.evidence.records import check_writable, write_record
from diag.jobs.inputs import open_inputs
from diag.places import Places
from diag.progress import Progress
from diag.results import codec
from diag.results.diagnosis import Diagnosis
from diag.results.finding import STATUS_WORDS
from diag.results.ruler import ZONE_WORDS


def run(case: Case, ids: tuple[str, ...], places: Places, evidence_dir: Path, progress: Progress) -> dict[str, Any]:
    """`test --json`; the record is written before this returns."""
    check_writable(evidence_dir)
    inputs = open_inputs(case, places.resolve)
    from diag.jobs import tasks

    diagnosis = tasks.test(inputs, ids, progress)
    record = tasks.record(inputs, diagnosis)
    path = write_record(evidence_dir, record)
    return {**to_json(diagnosis), "record": {"id": record.id, "path": str(path)}}


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """A diagnosis with the keys of `test --json`: the loss and its marks stand at the top, the rest below them."""
    loss, measured = diagnosis.loss, diagnosis.baseline.measurement
    found: dict[str, Any] = codec.plain(
        {
            "loss_nats": loss.nats,
            "stderr_nats": loss.stderr_nats,
            "reference_nats": loss.ruler.reference_nats,
            "unigram_nats": loss.ruler.unigram_nats,
            "bigram_nats": loss.ruler.bigram_nats,
            "chance_nats": loss.ruler.chance_nats,
            "zone": loss.zone,
            "findings": diagnosis.findings,
            "gate": loss.gate,
            "joint": diagnosis.joint,
            "conclusion": diagnosis.conclusion,
            "device": measured.device if measured else "",
            "dtype": measured.dtype if measured else "",
            "tokens": loss.tokens,
            "sequences": loss.sequences,
            "seconds": diagnosis.seconds,
            "forward_passes": diagnosis.forward_passes,
            "notes": diagnosis.all_notes,
            "baseline": diagnosis.baseline,
        }
    )
    return found


def draw(console: Console, value: dict[str, Any]) -> None:
    """The conclusion first, then the findings, then where the record is."""
    conclusion = value["conclusion"]
    console.print(Text(conclusion["kind"].replace("_", " "), style="bold"), Text(conclusion["text"]))
    zone = ZONE_WORDS[value["zone"]] if value["zone"] else "no loss"
    console.print(Text(f"as loaded {render.in_all_units(value['loss_nats'])}: {zone}"))
    table = Table(
        "id", "status", "best repair", "loss, nats", "Δ ± SE, nats", "on top of the others", box=None, pad_edge=False
    )
    for f in value["findings"]:
        best = next((r for r in f["repairs"] if r["name"] == f["best_repair"]), None)
        delta, on_top = (_plus_minus(best, key) if best else "" for key in ("", "on_top_"))
        table.add_row(
            f["id"],
            Text(f["status"], style=render.STYLES.get(f["status"], "")),
            Text(f["best_repair"] or ""),
            render.number(best["loss_nats"]) if best else "",
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
    render.sentences(console, value["notes"])
    console.print(Text(f"record {value['record']['id']}  {value['record']['path']}"))


def _plus_minus(repair: dict[str, Any], key: str) -> str:
    delta, stderr = repair[f"{key}delta_nats"], repair[f"{key}stderr_nats"]
    return "" if delta is None else f"{render.number(delta)} ± {render.number(stderr)}"
