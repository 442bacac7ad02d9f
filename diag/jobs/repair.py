"""The tasks behind `repair` and `apply`: a repaired checkpoint on disk, measured from there, and its patch. Torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diag.checkpoints import Checkpoint, open_checkpoint
from diag.errors import InputError
from diag.evidence.records import Record
from diag.jobs import tasks
from diag.jobs.inputs import Inputs, join_inputs
from diag.jobs.unchanged import FilesSeen
from diag.model.edits.as_data import from_data, to_data
from diag.model.edits.base import Edit
from diag.progress import Progress, part
from diag.repairs.folder import whole_folder
from diag.repairs.patch import NAME, needs_reference, refuse_other, write_patch
from diag.repairs.write import bytes_needed, write_repaired
from diag.results.baseline import BaselineResult
from diag.results.repair import PATCH_SCHEMA, Change, Patch


@dataclass(frozen=True)
class RepairWritten:
    """path: what opens. loss: of the repaired checkpoint, measured from disk. patch: the file beside it."""

    path: Path
    baseline: BaselineResult
    changes: tuple[Change, ...]
    patch: Path


def edits_of(record: Record) -> tuple[Edit, ...]:
    """What the joint repair of a record changes. InputError where there is none."""
    found = record.diagnosis
    if found is None or found.joint is None:
        raise InputError(
            "This record holds no repair.", where=record.id, fix="Repair a case that is explained, fully or in part."
        )
    if not found.joint.edits:
        raise InputError(
            "This record is older than written repairs, and names its repair without its edits.",
            where=record.id,
            fix="Test the case again, and repair from the new record.",
        )
    return tuple(from_data(edit, record.id) for edit in found.joint.edits)


def refuse_other_inputs(record: Record, inputs: Inputs, edits: Sequence[Edit]) -> None:
    """InputError unless shard, checkpoint and, where an edit needs it, reference are those of the record. Costs their
    fingerprints."""
    same = "Give the file that was tested, with --{0}."
    for what, found in (("checkpoint", inputs.checkpoint), ("reference", inputs.reference)):
        stated = record.inputs.get(what)
        if what == "reference" and (found is None or stated is None):
            if needs_reference(edits):
                raise InputError("The repair takes tensors from the reference.", fix=same.format(what))
            continue
        assert found is not None and stated is not None
        refuse_other(found, stated.get("fingerprint", ""), f"{what} of record {record.id}", same.format(what))
    if inputs.shard.fingerprint != record.inputs["shard"].get("fingerprint"):
        raise InputError(
            f"This is not the shard of record {record.id}.", where=str(inputs.shard.path), fix=same.format("shard")
        )


def repair(record: Record, inputs: Inputs, out: Path, progress: Progress) -> RepairWritten:
    """Write the record's joint repair of the inputs' checkpoint to `out`, which must not exist, and measure it from
    disk on the same window. Nothing stands at `out` before all of it is there.

    Costs one read and one write of the checkpoint, its fingerprint, and a measurement.
    """
    edits = edits_of(record)
    progress(0.0, "Comparing fingerprints")
    refuse_other_inputs(record, inputs, edits)
    diagnosis = record.diagnosis
    assert diagnosis is not None and diagnosis.joint is not None
    with whole_folder(out, bytes_needed(inputs.checkpoint)) as folder:
        written = write_repaired(inputs.checkpoint, edits, inputs.reference, folder, part(progress, 0.05, 0.5))
        progress(0.5, "Measuring it from disk")
        case = replace(inputs.case, claim=None, gate_below=None, expected_loss=None)
        repaired = open_checkpoint(written.path)
        again = join_inputs(case, inputs.shard, repaired, inputs.reference)
        baseline = tasks.read(again, part(progress, 0.5, 0.95), lens=False).baseline
        measured = baseline.measurement
        assert measured is not None
        inputs.files.check()
        patch = Patch(
            schema=PATCH_SCHEMA,
            record=record.id,
            checkpoint=inputs.checkpoint.fingerprint,
            reference=inputs.reference.fingerprint if inputs.reference and needs_reference(edits) else None,
            repaired=repaired.fingerprint,
            edits=tuple(to_data(edit) for edit in edits),
            changes=written.changes,
            shard=inputs.shard.fingerprint,
            window=str(case.window),
            device=measured.device,
            dtype=measured.dtype,
            before_nats=math.nan if (nats := diagnosis.loss.nats) is None else nats,
            after_nats=measured.loss_nats,
            after_stderr_nats=measured.stderr_nats,
            reference_nats=diagnosis.loss.ruler.reference_nats,
            versions=tasks.versions(),
        )
        write_patch(patch, folder)
        place = written.path.relative_to(folder)
    return RepairWritten(out.expanduser().absolute() / place, baseline, written.changes, out / NAME)


def apply(
    patch: Patch,
    edits: Sequence[Edit],
    checkpoint: Checkpoint,
    reference: Checkpoint | None,
    *,
    out: Path,
    progress: Progress,
) -> tuple[Path, tuple[Change, ...]]:
    """Do what a patch says to another copy of the checkpoint that it was made for. InputError for any other file, and
    where what was written is not what the patch promises; then nothing is at `out`."""
    progress(0.0, "Comparing fingerprints")
    files = FilesSeen.of(checkpoint.files_read, reference.files_read if reference else {}, {})
    refuse_other(
        checkpoint, patch.checkpoint, "checkpoint that the patch was made for", "Use it on a copy of that file only."
    )
    if patch.reference is not None:
        if reference is None:
            raise InputError("The patch takes tensors from a reference.", fix="Give it with --reference.")
        refuse_other(reference, patch.reference, "reference of the patch", "Give the one that was used.")
    with whole_folder(out, bytes_needed(checkpoint)) as folder:
        written = write_repaired(checkpoint, edits, reference, folder, part(progress, 0.05, 0.9))
        files.check()
        progress(0.9, "Comparing it with what the patch promises")
        refuse_other(
            open_checkpoint(written.path),
            patch.repaired,
            "checkpoint that the patch promises",
            "Use the versions of torch and Subrandom that the patch names.",
        )
        write_patch(patch, folder)
        place = written.path.relative_to(folder)
    return out.expanduser().absolute() / place, written.changes
