"""Jobs that go on from a record: the repaired checkpoint beside the original, and the defect of a program. Torch.

A request of these kinds carries the id of the record; its case is the record's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from diag.catalogue import scan
from diag.checkpoints import open_checkpoint
from diag.errors import Enough, InputError
from diag.evidence.records import Record, read_record
from diag.jobs import repair, reproduction, tasks
from diag.jobs.inputs import Inputs, join_inputs
from diag.jobs.kept_results import beside, reproduction_path
from diag.progress import Progress
from diag.results import codec
from diag.settings import Settings

Work = Callable[[Record, Inputs, Settings, Progress], Record]


def run(kind: str, ids: tuple[str, ...], inputs: Inputs, settings: Settings, progress: Progress) -> Record:
    """The record that the job is done with: a new one, or the one that it goes on from."""
    if len(ids) != 1:
        raise InputError(f"A job of the kind {kind} goes on from one record.", fix="Start it from a record.")
    try:
        return WORK[kind](read_record(settings.evidence_dir, ids[0]), inputs, settings, progress)
    except Enough as why:
        raise InputError(f"{why}: half of this work is nothing, and nothing of it is kept.") from None


def _repair(record: Record, inputs: Inputs, settings: Settings, progress: Progress) -> Record:
    """Write the repaired checkpoint beside the original; the record of its loss."""
    done = repair.repair(record, inputs, beside(inputs.checkpoint.path, record.id), progress)
    found = scan(settings)  # what was written is a checkpoint of the catalogue now
    name = next((e.id for e in found.of("checkpoint") if e.path.resolve() == done.path), done.path.name)
    return placed(done, inputs, name)


def placed(done: repair.RepairWritten, inputs: Inputs, name: str) -> Record:
    """The record of a repaired checkpoint's loss, as the file at its place under its name."""
    case = replace(inputs.case, checkpoint=name, claim=None, gate_below=None, expected_loss=None)
    return tasks.record(join_inputs(case, inputs.shard, open_checkpoint(done.path), inputs.reference), done.baseline)


def _reproduce(record: Record, inputs: Inputs, settings: Settings, progress: Progress) -> Record:
    """Keep the reproduction of the record's claim under the record's id; the record itself."""
    repair.refuse_other_inputs(record, inputs, ())
    found = reproduction.reproduce(inputs, progress)
    inputs.files.check()
    path: Path = reproduction_path(settings, record.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(codec.dumps(found))
    return record


WORK: dict[str, Work] = {"repair": _repair, "reproduce": _reproduce}
