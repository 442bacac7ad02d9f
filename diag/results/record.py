"""One record as data: its parts, the hash that names it, and the check of bytes that may come from anybody."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from diag.case import Case
from diag.errors import InputError, one_line
from diag.results import codec
from diag.results.decode import decode
from diag.results.findings import Diagnosis, Reading

SCHEMA = "subrandom-record-v1"
MAX_RECORD_BYTES = 16 * 1024 * 1024
RecordKind = Literal["test", "measure"]
RESULT_TYPES: dict[str, type[Diagnosis] | type[Reading]] = {"test": Diagnosis, "measure": Reading}
GET_ORIGINAL = "Ask its author for the original file, or run the case again."


@dataclass(frozen=True)
class Record:
    """What one run found, and what is needed to run it again. `id` is a hash of everything else.

    case: the query form of the Case. inputs: shard, checkpoint, reference (or None), each with name and fingerprint.
    environment: device, dtype, versions. thresholds: each with its source. result: the plain JSON of the result.
    cost: seconds, forward_passes, peak_memory_bytes. Treat the dictionaries as read-only: the id covers them.
    """

    id: str
    kind: RecordKind
    created: str
    case: dict[str, str]
    inputs: dict[str, Any]
    environment: dict[str, Any]
    thresholds: dict[str, Any]
    result: dict[str, Any]
    cost: dict[str, Any] = field(default_factory=dict)

    def to_case(self) -> Case:
        """The case, ready to run again."""
        return Case.from_query(self.case)

    def diagnosis(self) -> Diagnosis | None:
        """The result of a test as the dataclass it came from; None for a reading."""
        return decode(Diagnosis, self.result) if self.kind == "test" else None

    def reading(self) -> Reading | None:
        """The case as loaded; None when a test did not keep it."""
        if self.kind == "measure":
            return decode(Reading, self.result)
        return decode(Diagnosis, self.result).reading

    def content(self) -> dict[str, Any]:
        """Everything the id is the hash of."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "id"}
        return {"schema": SCHEMA, **fields}


def make_record(
    kind: RecordKind,
    case: Case,
    inputs: Mapping[str, Any],
    result: Any,
    *,
    environment: Mapping[str, Any],
    thresholds: Mapping[str, Any],
    created: str,
    cost: Mapping[str, Any] | None = None,
) -> Record:
    """The record of a Diagnosis (test) or a Reading (measure). `created` is UTC, ISO 8601; seconds are wall time."""
    plain = _clean(codec.plain(result))
    parts = {
        "kind": kind,
        "created": created,
        "case": case.to_query(),
        "inputs": {"reference": None, **inputs},
        "environment": environment,
        "thresholds": thresholds,
        "result": plain,
        "cost": cost or {key: plain[key] for key in ("seconds", "forward_passes") if key in plain},
    }
    parts = {key: _clean(codec.plain(value)) for key, value in parts.items()}
    return _parsed({"schema": SCHEMA, **parts}, "the new record")


def import_record(data: bytes, where: str = "the record file") -> Record:
    """A record from the bytes of a file that may come from anywhere; nothing is written. InputError when it is not
    exactly what Subrandom wrote: wrong schema, changed content, a field of the wrong type, more than 16 MiB."""
    if len(data) > MAX_RECORD_BYTES:
        raise InputError("The file is larger than 16 MiB.", where=where, fix=GET_ORIGINAL)
    try:
        parsed = json.loads(data, object_pairs_hook=_no_repeats, parse_constant=_refuse)
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
    """Check the schema and take the hash. The parts go through `decode`, so readers may trust their types."""
    if content.get("schema") != SCHEMA:
        raise InputError(f"The schema is not {SCHEMA}.", where=where, fix="Open it with the version that wrote it.")
    hashed = content
    content = {key: value for key, value in content.items() if key != "schema"}
    known = {f.name for f in dataclasses.fields(Record)} - {"id"}
    if set(content) != known:
        wrong = ", ".join(sorted(one_line(key, 40) for key in set(content) ^ known))
        raise InputError(f"Keys missing or unknown: {wrong}.", where=where, fix=GET_ORIGINAL)
    kind = content["kind"]
    if kind not in get_args(RecordKind):
        raise InputError(f"'{one_line(str(kind), 40)}' is no kind of record.", where=where, fix=GET_ORIGINAL)
    decode(RESULT_TYPES[kind], content["result"], f"{where}: result")
    try:
        id = hashlib.sha256(codec.canonical(hashed)).hexdigest()[:16]
    except (ValueError, RecursionError):
        raise InputError("The content is no plain JSON.", where=where, fix=GET_ORIGINAL) from None
    record = decode(Record, {"id": id, **content, **_checked_inputs(content["inputs"], where)}, where)
    record.to_case()
    _check_time(record.created, where)
    return record


def _check_time(created: str, where: str) -> None:
    """Pages sort by it and compare it with files' times, so it must be a moment, with its time zone, in the past."""
    try:
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is not None and moment <= datetime.now(UTC) + timedelta(
            days=1
        ):  # a day for clocks that differ
            return
    except ValueError:
        pass
    raise InputError(f"'{one_line(created, 40)}' is no time of creation.", where=where, fix=GET_ORIGINAL)


def _checked_inputs(inputs: Any, where: str) -> dict[str, Any]:
    for name in ("shard", "checkpoint", "reference"):
        part = inputs.get(name) if isinstance(inputs, dict) else None
        if part is None and name == "reference":
            continue
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise InputError(f"inputs.{name} has no name.", where=where, fix=GET_ORIGINAL)
    return {"inputs": inputs}


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


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
