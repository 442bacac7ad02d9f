"""Files into the index: what changed since the last time is read again, what is gone leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from diag.evidence.documents import Document
from diag.evidence.files import Found, LeftOut, text_files, unreadable
from diag.evidence.reading import Readers
from diag.evidence.store import IndexHandle

MAX_PROBLEMS = 50


@dataclass(frozen=True)
class SyncReport:
    """What one sync did, counted in files; `documents` are the searchable blocks and `facts` the facts now in the
    index, `left_out` how many files and folders were not read or not to their end: `evidence facts` lists them."""

    added: int
    changed: int
    removed: int
    unchanged: int
    documents: int
    seconds: float
    in_memory: bool = False
    notes: tuple[str, ...] = ()
    facts: int = 0
    left_out: int = 0


def ingest(opened: IndexHandle, folders: Sequence[Path]) -> SyncReport:
    """Bring the index up to date with `folders`; files of other folders stay while they exist.

    Files whose state is unchanged are not opened. A file that cannot be read or trusted is a note. Each batch of files
    is one commit.
    """
    began = time.perf_counter()
    con = opened.con
    notes = [*opened.notes, *unreadable(folders)]
    passed: list[LeftOut] = []
    found = {str(item.path): item for folder in folders for item in text_files(folder, passed)}
    stored = {row[0]: row[1:] for row in con.execute("SELECT path, stamp, digest FROM file").fetchall()}
    gone = [path for path in stored if path not in found and (_below(Path(path), folders) or not Path(path).exists())]
    stale = [item for path, item in found.items() if stored.get(path, ("",))[0] != item.stamp]
    added = changed = 0
    if gone:
        with _transaction(con):
            _forget(con, gone)
    digests = {path: row[1] for path, row in stored.items()}
    with Readers(stale, digests) as readers:
        for batch, documents in readers.batches():
            with _transaction(con):
                fresh = _changed(con, batch, documents, digests, passed)
                _forget(con, [path for path in fresh if path in stored])
                _insert(con, fresh, notes)
            new = sum(path not in stored for path in fresh)
            added, changed = added + new, changed + len(fresh) - new
    _list_left_out(con, folders, passed)
    if (added or changed or gone) and not opened.in_memory:
        con.execute("CHECKPOINT")
    counts = [_one(con, f"SELECT count(*) FROM {table}") for table in ("document", "fact", "left_out")]
    if len(notes) > MAX_PROBLEMS:
        notes = [*notes[:MAX_PROBLEMS], f"And {len(notes) - MAX_PROBLEMS} more."]
    unchanged = len(found) - added - changed
    seconds = time.perf_counter() - began
    return SyncReport(
        added, changed, len(gone), unchanged, counts[0], seconds, opened.in_memory, tuple(notes), counts[1], counts[2]
    )


@contextmanager
def _transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    con.begin()
    try:
        yield
        con.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a disk that is full has ended the transaction already
            con.rollback()
        raise


def _below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _forget(con: duckdb.DuckDBPyConnection, paths: list[str]) -> None:
    if not paths:
        return
    con.execute("DELETE FROM term WHERE doc IN (SELECT doc FROM document WHERE path IN (SELECT unnest(?)))", [paths])
    for table in ("document", "record", "fact", "file"):
        con.execute(f"DELETE FROM {table} WHERE path IN (SELECT unnest(?))", [paths])
    con.execute("DELETE FROM left_out WHERE in_file AND path IN (SELECT unnest(?))", [paths])


def _changed(
    con: duckdb.DuckDBPyConnection,
    batch: list[Found],
    documents: list[Document | str],
    digests: dict[str, str],
    passed: list[LeftOut],
) -> dict[str, Document]:
    """The files whose content is new, by path. One that was only touched gets its new time."""
    fresh: dict[str, Document] = {}
    for item, read in zip(batch, documents, strict=True):
        path = str(item.path)
        if isinstance(read, str):
            passed.append(LeftOut(path, read))
        elif read.digest == digests.get(path):
            con.execute("UPDATE file SET stamp = ? WHERE path = ?", [item.stamp, path])
        else:
            fresh[path] = read
    return fresh


def _insert(con: duckdb.DuckDBPyConnection, fresh: dict[str, Document], notes: list[str]) -> None:
    """Rows are gathered over all files: one insertion per file would take 12 ms each."""
    rows: dict[str, list[Any]] = {table: [] for table in ("file", "document", "fact", "left_out", "record")}
    names: list[str] = []
    docs: list[int] = []
    counts: list[float] = []
    doc = _one(con, "SELECT coalesce(max(doc), 0) FROM document")
    for path, read in fresh.items():
        item, said = read.found, read.said
        folder = item.name.rpartition("/")[0]
        of_run = [said.get(what, "") for what in ("run", "dataset", "checkpoint")]
        rows["file"].append((path, item.name, item.stamp, read.digest, read.date, folder, *of_run))
        rows["left_out"] += [(path, reason, True) for reason in read.left_out]
        if read.refused:
            notes.append(read.refused)  # neither its result nor its words may be found
        if read.row:
            rows["record"].append(tuple(read.row))
        for block in read.blocks:
            doc += 1
            rows["document"].append((doc, path, block.line, block.section, block.text, block.length))
            names.extend(block.terms)
            docs.extend([doc] * len(block.terms))
            counts.extend(block.terms.values())
        for f in read.facts:
            place = (path, f.line, f.section, f.key, f.name, f.about, f.raw, f.number, f.unit, f.unit_source)
            listed = json.dumps(f.identifiers) if f.identifiers else "[]"
            rows["fact"].append((*place, f.status_raw, f.status, f.run, listed, f.epoch, f.step))
    if names:
        _append(con, "term", [np.array(names, dtype=object), np.array(docs), np.array(counts, dtype=float)])
    for table, held in rows.items():
        if held:
            _append(con, table, [_column(values) for values in zip(*held, strict=True)])


def _list_left_out(con: duckdb.DuckDBPyConnection, folders: Sequence[Path], passed: list[LeftOut]) -> None:
    """What the walk passed over, written when it differs from the last time."""
    listed = con.execute("SELECT path, reason FROM left_out WHERE NOT in_file").fetchall()
    there = {(path, reason) for path, reason in listed if _below(Path(path), folders)}
    now = {(item.path, item.reason) for item in passed}
    if there == now:
        return
    with _transaction(con):
        old = [path for path, _ in there - now]
        con.execute("DELETE FROM left_out WHERE NOT in_file AND path IN (SELECT unnest(?::VARCHAR[]))", [old])
        kept = {(path, reason) for path, reason in there & now if path not in old}
        new = [(path, reason, False) for path, reason in sorted(now - kept)]
        if new:
            _append(con, "left_out", [_column(values) for values in zip(*new, strict=True)])


def _append(con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Any]) -> None:
    """Put columns into a table. NumPy: 200,000 rows take 0.1 s, as parameters 0.6 s."""
    con.register("new_rows", {f"c{i}": column for i, column in enumerate(columns)})
    try:
        con.execute(f"INSERT INTO {table} SELECT * FROM new_rows")
    finally:
        con.unregister("new_rows")


def _column(values: Sequence[Any]) -> Any:
    """NumPy's own type where all are numbers of one kind; objects otherwise, whose None is NULL."""
    kind = type(values[0])
    if kind in (int, float, bool) and set(map(type, values)) == {kind}:
        return np.array(values)
    return np.array(values, dtype=object)


def _one(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    """A single number. fetchall, because DuckDB 2.0 refuses other work while a result is not read to its end."""
    return int(con.execute(sql).fetchall()[0][0])
