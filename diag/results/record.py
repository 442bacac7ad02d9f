"""One record as data: its parts, the hash that names it, and the check of bytes that may come from anybody."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from diag.case import Case
from diag.errors import InputError, one_line
from diag.results import codec
from diag.results.baseline import BaselineResult
from diag.results.case_id import case_id
from diag.results.diagnosis import Diagnosis
from diag.results.older_records import result_of_v1
from diag.results.ruler import Loss

# The version is part of the content, and so of the id. A later one that means the same adds keys, and keeps the number.
SCHEMA = "subrandom-record-v2"
OLDER = {"subrandom-record-v1": result_of_v1}
MAX_RECORD_BYTES = 16 * 1024 * 1024
MAX_DIGITS = 24
RecordKind = Literal["test", "measure"]
RESULT_TYPES: dict[str, type[Diagnosis] | type[BaselineResult]] = {"test": Diagnosis, "measure": BaselineResult}
GET_ORIGINAL = "Ask its author for the original file, or run the case again."
_PARTS = ("kind", "created", "case", "inputs", "environment", "thresholds", "result", "cost")


@dataclass(frozen=True)
class _Content:
    """The parts of a record that are not its result, as JSON has them."""

    kind: RecordKind
    created: str
    case: dict[str, str]
    inputs: dict[str, Any]
    environment: dict[str, Any]
    thresholds: dict[str, Any]
    cost: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Record:
    """What one run found, and what is needed to run it again. `id` is a hash of `content`, which is what a file holds.

    case: the query form of the Case, whose names are labels. inputs: shard, checkpoint, reference (or None), each with
    name and fingerprint. environment: device, dtype, versions. thresholds: each with its source. result: what was
    found. cost: seconds, forward_passes, peak_memory_bytes. unknown: keys that this version has no field for, by their
    dotted place; they are part of the content, and shown. Treat the dictionaries as read-only: the id covers them.
    """

    id: str
    kind: RecordKind
    created: str
    case: dict[str, str]
    inputs: dict[str, Any]
    environment: dict[str, Any]
    thresholds: dict[str, Any]
    result: Diagnosis | BaselineResult
    cost: dict[str, Any]
    content: dict[str, Any] = field(repr=False)
    unknown: dict[str, Any] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Equal content is the same record."""
        return isinstance(other, Record) and other.id == self.id and other.content == self.content

    def __hash__(self) -> int:
        return hash(self.id)

    def to_case(self) -> Case:
        """The case, ready to run again."""
        return Case.from_query(self.case)

    @property
    def case_id(self) -> str:
        """What the record is about, by content: equal for the same files whatever they were called."""
        return case_id(self.inputs, self.to_case().window)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The result of a test; None for a measurement."""
        return self.result if isinstance(self.result, Diagnosis) else None

    @property
    def baseline(self) -> BaselineResult:
        """The case as loaded."""
        return self.result.baseline if isinstance(self.result, Diagnosis) else self.result

    @property
    def loss(self) -> Loss:
        """The loss as loaded, on its ruler."""
        return self.baseline.loss

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, one sentence each."""
        return self.result.all_notes if isinstance(self.result, Diagnosis) else self.result.notes


def make_record(
    kind: RecordKind,
    case: Case,
    inputs: Mapping[str, Any],
    result: Diagnosis | BaselineResult,
    *,
    environment: Mapping[str, Any],
    thresholds: Mapping[str, Any],
    created: str,
    cost: Mapping[str, Any] | None = None,
) -> Record:
    """The record of a Diagnosis (test) or a BaselineResult (measure). `created`: UTC, ISO 8601; seconds: wall time."""
    parts = {
        "kind": kind,
        "created": created,
        "case": case.to_query(),
        "inputs": {"reference": None, **inputs},
        "environment": environment,
        "thresholds": thresholds,
        "result": result,
        "cost": cost or {"seconds": result.seconds, "forward_passes": result.forward_passes},
    }
    return _parsed({"schema": SCHEMA, **_clean(codec.plain(parts))}, "the new record")


def import_record(data: bytes, where: str = "the record file") -> Record:
    """A record from the bytes of a file that may come from anywhere; nothing is written. InputError when it is not
    exactly what Subrandom wrote: wrong schema, changed content, a field of the wrong type, more than 16 MiB."""
    if len(data) > MAX_RECORD_BYTES:
        raise InputError("The file is larger than 16 MiB.", where=where, fix=GET_ORIGINAL)
    try:
        parsed = json.loads(data, object_pairs_hook=_no_repeats, parse_constant=_refuse, parse_int=_bounded)
    except (ValueError, RecursionError):
        raise InputError("This is no JSON that Subrandom wrote.", where=where, fix=GET_ORIGINAL) from None
    if not isinstance(parsed, dict):
        raise InputError("This is no record.", where=where, fix=GET_ORIGINAL)
    id = parsed.pop("id", None)
    record = _parsed(parsed, where)
    if id != record.id:
        raise InputError(
            "The file was changed after it was written: its content does not match its id.",
            where=where,
            fix=GET_ORIGINAL,
        )
    return record


def _parsed(content: dict[str, Any], where: str) -> Record:
    """Check the schema, decode every part once, and take the hash; readers may trust the types of what this returns."""
    schema, known = content.get("schema"), [SCHEMA, *OLDER]
    if schema not in known:
        raise InputError(
            f"The schema is none of {', '.join(known)}.", where=where, fix="Open it with the version that wrote it."
        )
    missing = [key for key in _PARTS if key not in content]
    if missing:
        raise InputError(f"Keys missing: {', '.join(missing)}.", where=where, fix=GET_ORIGINAL)
    kind = content["kind"]
    if kind not in get_args(RecordKind):
        raise InputError(f"'{one_line(str(kind), 40)}' is no kind of record.", where=where, fix=GET_ORIGINAL)
    result = OLDER[schema](kind, content["result"]) if schema != SCHEMA else content["result"]
    unknown: dict[str, Any] = {}
    found = codec.decode(RESULT_TYPES[kind], result, "result", unknown)
    try:
        id = hashlib.sha256(codec.canonical(content)).hexdigest()[:16]
    except (ValueError, RecursionError):
        raise InputError("The content is no plain JSON.", where=where, fix=GET_ORIGINAL) from None
    rest = {key: value for key, value in content.items() if key not in ("schema", "result")}
    _check_inputs(content["inputs"], where)
    parts = codec.decode(_Content, rest, "record", unknown)
    record = Record(id, **vars(parts), result=found, content=content, unknown=unknown)
    record.to_case()
    _check_time(record.created, where)
    return record


def _check_time(created: str, where: str) -> None:
    """Pages sort by it, so it must be a moment, with its time zone. It may lie ahead: whose clock was wrong is not
    known, and the numbers are what they are."""
    with suppress(ValueError):
        if datetime.fromisoformat(created).tzinfo is not None:
            return
    raise InputError(f"'{one_line(created, 40)}' is no time of creation.", where=where, fix=GET_ORIGINAL)


def _check_inputs(inputs: Any, where: str) -> None:
    for name in ("shard", "checkpoint", "reference"):
        part = inputs.get(name) if isinstance(inputs, dict) else None
        if part is None and name == "reference":
            continue
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise InputError(f"inputs.{name} has no name.", where=where, fix=GET_ORIGINAL)
        if not isinstance(part.get("fingerprint", ""), str):
            raise InputError(f"inputs.{name} has no usable fingerprint.", where=where, fix=GET_ORIGINAL)


def _clean(value: Any) -> Any:
    """Text that UTF-8 cannot hold (lone surrogates, from tensor names for instance) replaced, at any depth."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _bounded(digits: str) -> int:
    """A whole number that every reader of a record can turn into a float and a sentence."""
    if len(digits) > MAX_DIGITS:
        raise ValueError("a number of too many digits")
    return int(digits)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
