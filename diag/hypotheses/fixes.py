"""What a joint repair means for the files: the change to make, one row an edit."""

from __future__ import annotations

from collections.abc import Sequence

from diag.hypotheses.base import Context
from diag.hypotheses.search import Candidate
from diag.model.edits.base import Edit
from diag.results.diagnosis import Fix


def of(joint: Sequence[Candidate], context: Context) -> tuple[Fix, ...]:
    """The changes that the accepted repairs stand for, in the order of the repairs."""
    return tuple(_fix(edit, context) for c in joint for edit in c.repair.edits)


def _fix(edit: Edit, context: Context) -> Fix:
    key = next(iter(edit.config), None)
    if key is not None:
        now = getattr(context.checkpoint.config, key, None)
        return Fix("config", f"config.json: {key}", f"{now} → {edit.config[key]:g}")
    if edit.targets[0].startswith("config: "):
        return Fix("config", f"config.json: {edit.targets[0].removeprefix('config: ')}", edit.sentence)
    return Fix("tensor", ", ".join(edit.targets), edit.sentence)
