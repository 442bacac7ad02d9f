"""Reading and writing repair.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diag.checkpoints import Checkpoint
from diag.checkpoints.formats.companions import read_json
from diag.errors import InputError
from diag.model.edits.as_data import from_data
from diag.model.edits.base import Edit, Provenance
from diag.results import codec
from diag.results.repair import PATCH_SCHEMA, Patch

NAME = "repair.json"
_MOST_BYTES = 64 << 20
_FIX = "Give a repair.json as Subrandom wrote it."


def write_patch(patch: Patch, folder: Path) -> Path:
    """Put it into the folder of the repaired checkpoint."""
    path = folder / NAME
    path.write_text(codec.dumps(patch, indent=1) + "\n")
    return path


def read_patch(path: Path) -> tuple[Patch, tuple[Edit, ...]]:
    """The patch and its edits. InputError for anything that is no patch; the file may come from anybody."""
    if path.is_dir():
        path /= NAME
    data = read_json(path, _MOST_BYTES, _FIX)
    if data.get("schema") != PATCH_SCHEMA:
        raise InputError(f"This is no patch of the schema {PATCH_SCHEMA}.", where=str(path), fix=_FIX)
    patch = codec.decode(Patch, data, str(path))
    return patch, tuple(from_data(edit, str(path)) for edit in patch.edits)


def refuse_other(found: Checkpoint, fingerprint: str, what: str, fix: str) -> None:
    """InputError unless the checkpoint is the one of that fingerprint. Reads every byte of it once."""
    if found.fingerprint != fingerprint:
        raise InputError(
            f"This is not the {what}: its fingerprint is {found.fingerprint[:16]}, not {fingerprint[:16]}.",
            where=str(found.path),
            fix=fix,
        )


def needs_reference(edits: Sequence[Edit]) -> bool:
    """Whether an edit copies from a reference. Settings that come from one are in the edit itself."""
    return any(e.provenance is Provenance.REFERENCE and type(e).tensors is not Edit.tensors for e in edits)
