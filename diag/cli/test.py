"""The `test` command: the diagnosis, and the record of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diag.case import Case
from diag.cli.costs import Announce
from diag.cli.render import Answer
from diag.evidence.records import NotWritten, check_writable, write_record
from diag.jobs.inputs import open_inputs
from diag.places import Places
from diag.progress import Progress
from diag.report.parts import Section
from diag.report.sections import of_result
from diag.results import codec
from diag.results.diagnosis import Diagnosis


def run(
    case: Case, ids: tuple[str, ...], places: Places, evidence_dir: Path, progress: Progress, *, announce: Announce
) -> Answer:
    """The diagnosis; what it will take is announced before, the record is written before this returns. A record that
    the disk refuses by then is in the answer."""
    check_writable(evidence_dir)
    inputs = open_inputs(case, places.resolve, places.tokenizers)
    announce(inputs)
    from diag.jobs import tasks

    diagnosis = tasks.test(inputs, ids, progress)
    record = tasks.record(inputs, diagnosis)
    sections = of_result(diagnosis, case.claim)
    try:
        path = write_record(evidence_dir, record)
    except NotWritten as error:
        lost = {"id": record.id, "path": None, "error": str(error), "content": {"id": record.id, **record.content}}
        return Answer({**to_json(diagnosis), "record": lost}, sections, error)
    value = {**to_json(diagnosis), "record": {"id": record.id, "path": str(path)}}
    return Answer(value, (*sections, Section("Record", (f"record {record.id}  {path}",))))


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
            "border_nats": loss.ruler.border_nats,
            "chance_nats": loss.ruler.chance_nats,
            "zone": loss.zone,
            "findings": diagnosis.findings,
            "gate": loss.gate,
            "joint": diagnosis.joint,
            "conclusion": diagnosis.conclusion,
            "reference": diagnosis.reference,
            "differences": diagnosis.differences,
            "data": diagnosis.data,
            "expected_nats": diagnosis.expected_nats,
            "yardstick": diagnosis.yardstick,
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
