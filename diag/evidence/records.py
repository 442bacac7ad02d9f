"""Records: a result made permanent as an immutable JSON file whose name is the hash of its content."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from diag.errors import InputError, one_line
from diag.evidence.files import read_regular
from diag.results import codec
from diag.results.record import GET_ORIGINAL, MAX_RECORD_BYTES, SCHEMA, Record, RecordKind, import_record, make_record

__all__ = [
    "SCHEMA",
    "Record",
    "RecordKind",
    "check_writable",
    "import_record",
    "make_record",
    "read_record",
    "record_path",
    "records_dir",
    "write_record",
]

_ID = re.compile(r"[0-9a-f]{16}")


def records_dir(evidence_dir: Path) -> Path:
    """Where records lie below an evidence folder."""
    return evidence_dir / "records"


def record_path(evidence_dir: Path, id: str) -> Path:
    """The file of a record id. The id is checked before any path is built of it."""
    if not _ID.fullmatch(id):
        raise InputError(f"'{one_line(id, 80)}' is no record id.", fix="A record id is 16 characters of 0-9 and a-f.")
    return records_dir(evidence_dir) / f"{id}.json"


def check_writable(evidence_dir: Path) -> None:
    """InputError when records cannot be written here: found out before the work, not after it."""
    folder = records_dir(evidence_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"Records cannot be written: {error.strerror}.", where=str(folder), fix="Choose another evidence folder."
        ) from None


def write_record(evidence_dir: Path, record: Record) -> Path:
    """Write the record once, read-only, complete or not at all; writing it again changes nothing. Returns its path."""
    path = record_path(evidence_dir, record.id)
    data = codec.dumps({"id": record.id, **record.content}, indent=1).encode()
    if len(data) > MAX_RECORD_BYTES:
        raise InputError("The record is larger than 16 MiB.", where=record.id, fix="Test fewer hypotheses at once.")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o444)
        _publish(temporary, path, record.id)
    except OSError as error:
        raise InputError(
            f"The record cannot be written: {error.strerror}.", where=str(path), fix="Choose another evidence folder."
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def read_record(evidence_dir: Path, id: str) -> Record:
    """The record with this id, its content checked against it. InputError: unknown id, changed or foreign file."""
    path = record_path(evidence_dir, id)
    try:
        data = read_regular(path, MAX_RECORD_BYTES + 1)
    except OSError:
        raise InputError(
            f"There is no record {id} here.", fix="Copy the record file into evidence/records or ask its author for it."
        ) from None
    record = import_record(data, where=path.name)
    if record.id != id:
        raise InputError(f"The file holds record {record.id}, not {id}.", where=path.name, fix=GET_ORIGINAL)
    return record


def _publish(temporary: Path, path: Path, id: str) -> None:
    """Give the file its name without ever replacing a good one."""
    try:
        os.link(temporary, path)
        return
    except FileExistsError:
        with contextlib.suppress(InputError):
            if read_record(path.parent.parent, id).id == id:
                return
    except OSError:  # a file system without hard links
        pass
    # Either no link was possible, or the file there is damaged: the name says exactly which bytes belong here.
    temporary.replace(path)
