"""What a joint repair means for the files and for what made them: the exact changes, in an order to read them in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from diag.checkpoints.config import ALIASES
from diag.hypotheses.as_code import code
from diag.hypotheses.base import Context
from diag.hypotheses.converters import LINES
from diag.hypotheses.search import Candidate
from diag.model.edits.base import Edit
from diag.model.edits.from_reference import FromReference
from diag.results.diagnosis import Fix

CODE = "a safetensors state dict, in Python"


def of(joint: Sequence[Candidate], context: Context) -> tuple[Fix, ...]:
    """What changes (a row an edit: `config` as a diff, or `tensor`), then the lines of Python that do it (`code`), then
    what belongs into the tools that convert such a model (`converter`), each with the public issue it is known from."""
    edits = [edit for c in joint for edit in c.repair.edits]
    said = [_fix(edit, context) for edit in edits]
    lines = [Fix("code", CODE, text) for edit in edits if (text := code(edit, context))]
    tools = [
        Fix("converter", row.tool, f"{row.line}  ({row.issue})")
        for row in LINES
        if any(row.fits(edit, context) for edit in edits)
    ]
    return tuple(dict.fromkeys((*said, *lines, *tools)))


def _fix(edit: Edit, context: Context) -> Fix:
    before = dict(context.checkpoint.raw_config)
    after = with_edit(before, edit, context)
    if after != before:
        return Fix("config", "config.json", "\n".join(diff(before, after)))
    if isinstance(edit, FromReference):
        many = len(edit.names)
        what = "this tensor" if many == 1 else f"these {many} tensors"
        return Fix("tensor", ", ".join(edit.targets), f"Take {what} from the reference.")
    return Fix("tensor", ", ".join(edit.targets), edit.sentence)


def with_edit(raw: dict[str, Any], edit: Edit, context: Context) -> dict[str, Any]:
    """config.json as it must be for the edit, under the keys that the file has."""
    found = edit.configured(raw)
    for key, value in edit.config.items():
        own = context.family.renamed.get(key, key)
        spelt = next((name for name in (own, key, *ALIASES.get(key, ())) if name in raw), own)
        found = found | {spelt: value}
    return found


def diff(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """The lines of config.json that go and come, as a unified diff marks them."""
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) == after.get(key) and (key in before) == (key in after):
            continue
        yield from (f"-  {json.dumps(key)}: {json.dumps(before[key])}," for _ in (1,) if key in before)
        yield from (f"+  {json.dumps(key)}: {json.dumps(after[key])}," for _ in (1,) if key in after)
