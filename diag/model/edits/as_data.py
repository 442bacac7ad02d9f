"""Edits as plain data and back: what a record and a patch file hold of a repair."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from diag.errors import InputError, one_line
from diag.model.edits import EDITS
from diag.model.edits.base import Edit
from diag.results import codec

_BY_NAME = {kind.__name__: kind for kind in EDITS}


def to_data(edit: Edit) -> dict[str, Any]:
    """JSON: the edit's kind, and its fields."""
    fields = {f.name: getattr(edit, f.name) for f in dataclasses.fields(edit)}  # type: ignore[arg-type]
    found: dict[str, Any] = codec.plain({"kind": type(edit).__name__, **fields})
    return found


def from_data(data: Mapping[str, Any], where: str) -> Edit:
    """The edit that `to_data` wrote. InputError for anything else: the file may come from anybody."""
    kind = _BY_NAME.get(str(data.get("kind")))
    unknown: dict[str, Any] = {}
    if kind is not None:
        fields = {key: value for key, value in data.items() if key != "kind"}
        edit: Edit = codec.decode(kind, fields, where, unknown)
        if not unknown:
            return edit
    raise InputError(
        f"'{one_line(str(next(iter(unknown), data.get('kind'))), 60)}' is part of no edit that this version knows.",
        where=where,
        fix="Use the version of Subrandom that wrote it.",
    )
