"""Records: a result made permanent as an immutable JSON file whose name is the hash of its content."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import time
from pathlib import Path

from diag.errors import InputError, one_line
from diag.evidence.files import read_regular
from diag.results import codec
from diag.results.record import GET_ORIGINAL, MAX_RECORD_BYTES, SCHEMA, Record, RecordKind, import_record, make_record

__all__ = [
    "SCHEMA",
    "NotWritten",
    "Record",
    "RecordKind",
    "check_writable",
    "import_record",
    "make_record",
    "read_record",
    "record_path",
    "record_text",
    "records_dir",
    "write_record",
]

PROBE_BYTES = 1 << 20  # written before the work; records of full tests have 50 to 300 kB
LEFTOVER_SECONDS = 3_600  # a file on its way is there for milliseconds

_ID = re.compile(r"[0-9a-f]{16}")
_ON_ITS_WAY = ".new-"
_LEFTOVER = re.compile(r"\.new-[0-9a-z_]{8}")  # as tempfile names them


class NotWritten(InputError):
    """The disk refused a record whose result is there. `text`: what its file would hold, so that nothing is lost."""

    def __init__(self, what: str, *, where: str, fix: str, text: str) -> None:
        super().__init__(what, where=where, fix=fix)
        self.text = text


def records_dir(evidence_dir: Path) -> Path:
    """Where records lie below an evidence folder."""
    return evidence_dir / "records"


def record_path(evidence_dir: Path, id: str) -> Path:
    """The file of a record id. The id is checked before any path is built of it."""
    if not _ID.fullmatch(id):
        raise InputError(f"'{one_line(id, 80)}' is no record id.", fix="A record id is 16 characters of 0-9 and a-f.")
    return records_dir(evidence_dir) / f"{id}.json"


def record_text(record: Record) -> str:
    """What the record's file holds."""
    return codec.dumps({"id": record.id, **record.content}, indent=1)


def check_writable(evidence_dir: Path) -> None:
    """InputError when no record can be written here: found out before the work, not after it. Writes a file as a record
    is written, 1 MiB long, and removes it; and what processes that were killed have left of theirs."""
    folder = records_dir(evidence_dir)
    try:
        _make(folder)
        _written(folder, os.urandom(PROBE_BYTES)).unlink()  # random: zeros take no room where files are compressed
    except OSError as error:
        raise InputError(
            f"Records cannot be written: {error.strerror}.",
            where=str(folder),
            fix="Make room there, or choose another evidence folder.",
        ) from None
    remove_leftovers(folder)


def write_record(evidence_dir: Path, record: Record) -> Path:
    """Write the record once, read-only, complete or not at all; writing it again changes nothing. Returns its path,
    once file and name are on the disk. NotWritten when the disk refuses."""
    path = record_path(evidence_dir, record.id)
    text = record_text(record)
    if len(data := text.encode()) > MAX_RECORD_BYTES:
        raise InputError("The record is larger than 16 MiB.", where=record.id, fix="Test fewer hypotheses at once.")
    temporary: Path | None = None
    try:
        _make(path.parent)
        temporary = _written(path.parent, data)
        _publish(temporary, path, record.id)
        _sync(path.parent)
    except OSError as error:
        raise NotWritten(
            f"The record cannot be written: {error.strerror}.",
            where=str(path),
            fix="Make room there, and put it there as that file.",
            text=text,
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def remove_leftovers(folder: Path) -> None:
    """Remove files of ours that were on their way to a name an hour ago and more: whoever wrote them was killed."""
    with contextlib.suppress(OSError):
        for file in list(folder.iterdir()):
            if _LEFTOVER.fullmatch(file.name) and time.time() - file.lstat().st_mtime > LEFTOVER_SECONDS:
                file.unlink(missing_ok=True)


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


def _make(folder: Path) -> None:
    """The folder, there and known to be there after a power cut."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _sync(folder.parent)


def _written(folder: Path, data: bytes) -> Path:
    """A read-only file of these bytes, on the disk, under a name of its own; nothing of it stays when that fails."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=_ON_ITS_WAY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
            os.fchmod(handle, 0o444)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _sync(folder: Path) -> None:
    """The names in a folder on the disk: a file's own fsync does not say that its name will be there (fsync(2))."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such thing
            raise
    finally:
        os.close(handle)


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
