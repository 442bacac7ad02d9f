"""`repair` and `apply`: a repaired checkpoint on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diag.cli import options as o
from diag.cli import render

RecordId = Annotated[str, typer.Argument(help="The id that `test` printed, or its beginning.")]
OutFolder = Annotated[Path, typer.Option("--out", help="A folder that is not there yet.")]
PatchPath = Annotated[Path, typer.Argument(help="A repair.json, or the folder that it is in.")]
CopyPath = Annotated[Path, typer.Argument(help="A copy of the checkpoint that the patch was made for.")]
Tested = Annotated[Path | None, typer.Option("--checkpoint", help="The checkpoint, where its name is not found.")]
TestedOn = Annotated[Path | None, typer.Option("--shard", help="The shard, where its name is not found.")]


def add_to(app: typer.Typer) -> None:
    """Both commands."""
    app.command(
        epilog=o.examples(
            "subrandom repair 0123456789abcdef --out runs/step-100-repaired",
            "subrandom repair 0123 --out repaired --checkpoint runs/step-100 --reference base/ --shard val.bin --json",
        )
    )(repair)
    app.command(
        epilog=o.examples(
            "subrandom apply repaired/repair.json runs/step-100 --out again",
            "subrandom apply repaired/ copy/ --reference base/ --out again --json",
        )
    )(apply)


def repair(
    record_id: RecordId,
    *,
    out: OutFolder,
    checkpoint: Tested = None,
    reference: o.ReferencePath = None,
    shard: TestedOn = None,
    evidence: o.EvidenceDir = None,
    json: o.Json = False,
) -> None:
    """Write the checkpoint with a record's repair applied.

    Beside the original, never over it; measured from disk.
    """
    from diag.cli import repair as command

    with render.progress("Repairing", quiet=json) as progress:
        given = {"checkpoint": checkpoint, "reference": reference, "shard": shard}
        found = command.run(record_id, given, out, evidence, progress)
    render.answer(found, json)


def apply(
    patch: PatchPath, checkpoint: CopyPath, *, out: OutFolder, reference: o.ReferencePath = None, json: o.Json = False
) -> None:
    """Do a repair again, on another copy of the same checkpoint.

    Refuses any other file.
    """
    from diag.cli import repair as command

    with render.progress("Applying", quiet=json) as progress:
        found = command.run_patch(patch, checkpoint, reference, out, progress)
    render.answer(found, json)
