"""What the records and the evidence folders say, asked through the index."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from diag.catalogue import Catalogue
from diag.evidence.index import (
    Connection,
    Hit,
    RecordRow,
    folders_of,
    index_path,
    records_table,
    search,
    sync,
    sync_and_query,
)
from diag.evidence.ingest import SyncReport
from diag.evidence.records import Record, read_record, record_path, records_dir
from diag.file_state import FileState, state_of
from diag.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Known:
    """What the index answered: all records, newest first, the hits of a query, and its problems in sentences."""

    records: list[RecordRow]
    hits: list[Hit]
    documents: int
    problems: tuple[str, ...]
    seconds: float


def known(settings: Settings, query: str = "", limit: int = 30) -> Known:
    """Bring the index up to date and ask it: all records, and the places that answer `query`. Not cached: a record
    written a second ago must be there, and unchanged files are not opened."""
    (records, hits), report = sync_and_query(
        settings,
        index_path(settings),
        lambda con: (records_table(con), search(query, con, limit) if query.strip() else []),
    )
    return Known(records, hits, report.documents, report.notes, report.seconds)


# One answer for each records folder, with the folder's state: it changes whenever a record comes or goes.
_rows: dict[Path, tuple[FileState, list[RecordRow]]] = {}
_lock = threading.Lock()


def record_rows(settings: Settings) -> list[RecordRow]:
    """All records, newest first, from the index's table; no record file is read that was read before. Costs one look
    at the folder's state, and about 30 ms when a record has come or gone since."""
    folder = records_dir(settings.evidence_dir).resolve()
    try:
        changed = FileState.of(folder.stat())
    except OSError:
        return []
    with _lock:
        kept = _rows.get(folder)
        if kept is None or kept[0] != changed:
            rows, _ = sync_and_query([folder], index_path(settings), records_table)
            kept = _rows[folder] = (changed, rows)
    return kept[1]


MAX_READ = 32  # about 1 MB each
_read: OrderedDict[Path, tuple[FileState, Record]] = OrderedDict()


def record(settings: Settings, id: str) -> Record:
    """`read_record` for a page, which shows the same one at every click: read, checked and decoded again only when its
    file has another state. About 25 ms the first time. InputError as there."""
    path = record_path(settings.evidence_dir, id).absolute()
    state = state_of(path)
    with _lock:
        kept = _read.get(path)
        if kept and kept[0] == state:
            _read.move_to_end(path)
            return kept[1]
    found = read_record(settings.evidence_dir, id)
    if state:
        with _lock:
            _read[path] = state, found
            while len(_read) > MAX_READ:
                _read.popitem(last=False)
    return found


_kept: dict[tuple[Path, str], tuple[FileState, object]] = {}


def kept(settings: Settings, name: str, work: Callable[[Connection], T], found: Catalogue | None = None) -> T:
    """`look` for what takes seconds on a large index: the last answer, while the index is the same. found: the scan of
    the page, where that is new enough; a scan of a thousand checkpoints costs half a second."""
    path = index_path(settings)
    sync(settings if found is None else folders_of(settings, found), path)
    try:
        state = FileState.of(path.stat())
    except OSError:  # it cannot be written, and lives in memory
        return look(settings, work)[0]
    held = _kept.get((path, name))
    if held is None or held[0] != state:
        held = _kept[path, name] = (state, look(settings, work)[0])
    return cast(T, held[1])


def look(settings: Settings, work: Callable[[Connection], T]) -> tuple[T, SyncReport]:
    """Bring the index up to date and ask it anything."""
    return sync_and_query(settings, index_path(settings), work)
