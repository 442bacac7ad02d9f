"""Files into the index: what changed since the last time is read again, what is gone leaves."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from diag.errors import InputError
from diag.evidence.chunks import blocks
from diag.evidence.files import MAX_TEXT_BYTES, Found, digest, read_regular, text_files, unreadable
from diag.evidence.store import IndexHandle
from diag.evidence.terms import terms
from diag.results.record import MAX_RECORD_BYTES, Record, import_record

MAX_TOTAL_BYTES = 64 * 1024 * 1024  # read in one sync
BATCH_ROWS = 500_000
MAX_PROBLEMS = 50
CONTEXT_COUNT = 0.25  # how often a block holds a word of its heading or file name, beside the words it has itself


@dataclass(frozen=True)
class SyncReport:
    """What one sync did, counted in files; `documents` are the searchable blocks now in the index."""

    added: int
    changed: int
    removed: int
    unchanged: int
    documents: int
    seconds: float
    in_memory: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Text:
    """A file that is new or has changed."""

    found: Found
    data: bytes
    sha: str


def ingest(opened: IndexHandle, folders: Sequence[Path]) -> SyncReport:
    """Bring the index up to date with `folders`; files of other folders stay while they exist.

    Files whose state is unchanged are not opened. A file that cannot be read or trusted is a note.
    """
    began = time.perf_counter()
    con = opened.con
    notes = [*opened.notes, *unreadable(folders)]
    found = {str(item.path): item for folder in folders for item in text_files(folder)}
    stored = {row[0]: row[1:] for row in con.execute("SELECT path, stamp, digest FROM file").fetchall()}
    missing = [Path(path) for path in stored if path not in found]
    gone = [str(path) for path in missing if _below(path, folders) or not path.exists()]
    stale = [item for path, item in found.items() if stored.get(path, ("",))[0] != item.stamp]
    con.begin()
    try:
        fresh = _read(opened, stale, {path: row[1] for path, row in stored.items()}, notes)
        _forget(opened, [*gone, *(path for path in fresh if path in stored)])
        _insert(opened, fresh, notes)
        con.commit()
    except BaseException:
        con.rollback()
        raise
    added = sum(path not in stored for path in fresh)
    changed = len(fresh) - added
    if (fresh or gone) and not opened.in_memory:
        con.execute("CHECKPOINT")
    documents = _one(con, "SELECT count(*) FROM document")
    if len(notes) > MAX_PROBLEMS:
        notes = [*notes[:MAX_PROBLEMS], f"And {len(notes) - MAX_PROBLEMS} more."]
    unchanged = len(found) - added - changed
    seconds = time.perf_counter() - began
    return SyncReport(added, changed, len(gone), unchanged, documents, seconds, opened.in_memory, tuple(notes))


def read_source(path: Path) -> bytes:
    """The bytes of an indexed file that its digest is taken of: a whole record, the first 2 MiB of any other file."""
    return read_regular(path, MAX_RECORD_BYTES + 1 if _is_record(path) else MAX_TEXT_BYTES)


def _is_record(path: Path) -> bool:
    return path.parent.name == "records" and path.suffix == ".json"


def _below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _forget(opened: IndexHandle, paths: list[str]) -> None:
    if not paths:
        return
    opened.con.execute(
        "DELETE FROM term WHERE doc IN (SELECT doc FROM document WHERE path IN (SELECT unnest(?)))", [paths]
    )
    for table in ("document", "record", "file"):
        opened.con.execute(f"DELETE FROM {table} WHERE path IN (SELECT unnest(?))", [paths])


def _read(opened: IndexHandle, stale: list[Found], digests: dict[str, str], notes: list[str]) -> dict[str, _Text]:
    """The files whose content is new, by path. One that was only touched gets its new time and is not read again."""
    fresh: dict[str, _Text] = {}
    total = 0
    for item in stale:
        try:
            data = read_source(item.path)
        except OSError:
            notes.append(f"{item.name} cannot be read.")
            continue
        total += len(data)
        if total > MAX_TOTAL_BYTES:
            notes.append("There are more than 64 MiB of new text; run the index again to go on.")
            break
        path, sha = str(item.path), digest(data)
        if sha == digests.get(path):
            opened.con.execute("UPDATE file SET stamp = ? WHERE path = ?", [item.stamp, path])
        else:
            fresh[path] = _Text(item, data, sha)
    return fresh


def _insert(opened: IndexHandle, fresh: dict[str, _Text], notes: list[str]) -> None:
    """Rows are gathered over all files: one insertion per file would take 12 ms each."""
    files: list[tuple[str, str, str, str]] = []
    documents: list[tuple[int, str, int, str, str, int]] = []
    found: list[tuple[str, int, float]] = []
    doc = _one(opened.con, "SELECT coalesce(max(doc), 0) FROM document")
    for path, text in fresh.items():
        item, data = text.found, text.data
        files.append((path, item.name, item.stamp, text.sha))
        if _is_record(item.path):
            try:
                _insert_record(opened, path, import_record(data, where=item.name))
            except InputError as error:
                notes.append(str(error))
                continue  # neither its result nor its words may be found
        elif item.size > MAX_TEXT_BYTES:
            notes.append(f"{item.name}: only the first 2 MiB are indexed.")
        if b"\0" in data[:4096]:
            continue
        # The name of the file and the section's title belong to every block: a question often names the step.
        of_file = set(terms(item.name.replace("/", " ")))
        for block in blocks(data[:MAX_TEXT_BYTES].decode("utf-8", "replace"), item.path.suffix):
            doc += 1
            shown = "\n".join(block.lines)
            counts: dict[str, float] = {**Counter(terms(shown))}
            documents.append((doc, path, block.line, block.section, shown, int(sum(counts.values()))))
            for term in of_file | set(terms(block.section)):
                counts.setdefault(term, CONTEXT_COUNT)
            found += [(term, doc, n) for term, n in counts.items()]
        if len(found) > BATCH_ROWS:
            _append(opened, "document", documents)
            _append(opened, "term", found)
    _append(opened, "file", files)
    _append(opened, "document", documents)
    _append(opened, "term", found)


def _append(opened: IndexHandle, table: str, rows: list[Any]) -> None:
    """Put rows into a table and empty the list. NumPy columns: 200,000 rows take 0.1 s, as parameters 0.6 s."""
    if not rows:
        return
    columns = {
        f"c{i}": np.array(column, dtype=object if isinstance(column[0], str) else None)
        for i, column in enumerate(zip(*rows, strict=True))
    }
    opened.con.register("new_rows", columns)
    try:
        opened.con.execute(f"INSERT INTO {table} SELECT * FROM new_rows")
    finally:
        opened.con.unregister("new_rows")
    rows.clear()


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    """A single number. fetchall, because DuckDB 2.0 refuses other work while a result is not read to its end."""
    return int(con.execute(sql).fetchall()[0][0])


def _insert_record(opened: IndexHandle, path: str, record: Record) -> None:
    diagnosis, loss = record.diagnosis, record.loss
    reference = record.inputs.get("reference") or {}
    row = {
        "path": path,
        "id": record.id,
        "created": record.created,
        "kind": record.kind,
        "case_id": record.case_id,
        "query": json.dumps(record.case),
        "shard": record.inputs["shard"]["name"],
        "checkpoint": record.inputs["checkpoint"]["name"],
        "reference": reference.get("name"),
        "loss_nats": loss.nats,
        "zone": loss.zone,
        "conclusion": diagnosis.conclusion.kind if diagnosis else None,
        "text": diagnosis.conclusion.text if diagnosis else None,
        "statuses": json.dumps({f.id: f.status for f in diagnosis.findings} if diagnosis else {}),
        "gate": loss.gate.word if loss.gate else None,
        "device": str(record.environment.get("device", "")),
        "dtype": str(record.environment.get("dtype", "")),
    }
    holes = ", ".join("?" * len(row))
    opened.con.execute(f"INSERT INTO record ({', '.join(row)}) VALUES ({holes})", list(row.values()))
