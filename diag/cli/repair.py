"""The `repair` and `apply` commands: a record, or a patch, made a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from diag.case import Case
from diag.checkpoints import open_checkpoint
from diag.cli import record_table
from diag.cli.render import Answer
from diag.errors import InputError
from diag.evidence.records import NotWritten, Record, check_writable, write_record
from diag.jobs.inputs import open_inputs
from diag.model.estimate import has_gpu
from diag.places import Places
from diag.progress import Progress
from diag.repairs.patch import needs_reference, read_patch
from diag.report.parts import MAX_ROWS, Section, Table
from diag.results import codec
from diag.results.repair import Change
from diag.settings import load_settings


def run(
    record_id: str, given: Mapping[str, Path | None], out: Path, evidence: Path | None, progress: Progress
) -> Answer:
    """Write the repair of a record. given: paths by role, for names of the record that are not found."""
    kept_in = evidence or load_settings().evidence_dir
    record, places = record_table.read(kept_in, record_id), Places()
    check_writable(kept_in)
    from diag.jobs import from_record, repair  # torch: seconds

    edits = repair.edits_of(record)
    case = _case(record, given, places, wanted=needs_reference(edits))
    inputs = open_inputs(case, places.resolve, places.tokenizers)
    done = repair.repair(record, inputs, out, progress)
    # The record is of the files at their place, under their name.
    name = places.name("checkpoint", done.path)
    measured = from_record.placed(done, inputs, name)
    value: dict[str, Any] = codec.plain(
        {
            "path": done.path,
            "loss_nats": done.baseline.loss.nats,
            "stderr_nats": done.baseline.loss.stderr_nats,
            "before_nats": record.loss.nats,
            "reference_nats": record.loss.ruler.reference_nats,
            "changes": done.changes,
            "patch": done.patch,
        }
    )
    marks = f"{record.loss.nats:.4f} → {done.baseline.loss.nats:.4f} nats, measured from disk"
    if record.loss.ruler.reference_nats is not None:
        marks += f"; the reference has {record.loss.ruler.reference_nats:.4f}"
    sections = (Section("Repaired", (f"{done.path}", f"{marks}.", f"Patch: {done.patch}")), _changes(done.changes))
    try:
        path = write_record(kept_in, measured)
    except NotWritten as error:
        lost = {
            "id": measured.id,
            "path": None,
            "error": str(error),
            "content": {"id": measured.id, **measured.content},
        }
        return Answer({**value, "record": lost}, sections, error)
    said = Section("Record", (f"record {measured.id}  {path}",))
    return Answer({**value, "record": {"id": measured.id, "path": str(path)}}, (*sections, said))


def run_patch(patch_path: Path, checkpoint: Path, reference: Path | None, out: Path, progress: Progress) -> Answer:
    """Apply a patch to another copy of the checkpoint that it was made for."""
    patch, edits = read_patch(patch_path)
    ours = open_checkpoint(checkpoint)
    theirs = open_checkpoint(reference) if reference else None
    from diag.jobs import repair

    path, changes = repair.apply(patch, edits, ours, theirs, out=out, progress=progress)
    value: dict[str, Any] = codec.plain({"path": path, "changes": changes, "fingerprint": patch.repaired})
    says = (
        f"Its fingerprint is the patch's, {patch.repaired[:16]}: {patch.after_nats:.4f} nats where that was measured."
    )
    return Answer(value, (Section("Applied", (str(path), says)), _changes(changes)))


def _case(record: Record, given: Mapping[str, Path | None], places: Places, *, wanted: bool) -> Case:
    """The record's case with its files found again, on what this machine has."""
    case = record.to_case()
    reference = None
    if case.reference and (wanted or given["reference"] or _is_known("checkpoint", case.reference, places)):
        reference = _found("reference", case.reference, given, places)
    return replace(
        case,
        shard=_found("shard", case.shard, given, places),
        checkpoint=_found("checkpoint", case.checkpoint, given, places),
        reference=reference,
        device="auto" if case.device == "cuda" and not has_gpu() else case.device,
    )


def _found(
    role: Literal["shard", "checkpoint", "reference"], name: str, given: Mapping[str, Path | None], places: Places
) -> str:
    kind: Literal["shard", "checkpoint"] = "shard" if role == "shard" else "checkpoint"
    path = given[role]
    if path is not None:
        return places.name(kind, path)
    if not _is_known(kind, name, places):
        raise InputError(
            f"The record's {role}, '{name}', is not found under the configured roots.",
            fix=f"Give its path with --{role}.",
        )
    return places.name(kind, Path(name))


def _is_known(kind: Literal["shard", "checkpoint"], name: str, places: Places) -> bool:
    try:
        places.name(kind, Path(name))
    except InputError:
        return False
    return True


def _changes(changes: tuple[Change, ...]) -> Section:
    rows = tuple((each.kind, each.name, each.what) for each in changes[:MAX_ROWS])
    more = (f"and {len(changes) - MAX_ROWS:,} more.",) if len(changes) > MAX_ROWS else ()
    return Section("Changes", (Table(("kind", "name", "what"), rows), *more))
