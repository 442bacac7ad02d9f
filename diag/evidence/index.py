"""The search index over records and evidence folders, and the table of records: derived, so it can be deleted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias, TypeVar

from duckdb import DuckDBPyConnection

from diag.catalogue import Catalogue, scan
from diag.errors import InputError
from diag.evidence.documents import is_record, read_source
from diag.evidence.files import digest
from diag.evidence.ingest import SyncReport, ingest
from diag.evidence.store import IndexHandle, no_index, read_sources, remember_sources, with_index
from diag.evidence.terms import MAX_QUERY_WORDS, like_pattern, words
from diag.settings import Settings, short_hash

T = TypeVar("T")
Connection: TypeAlias = DuckDBPyConnection

DB_NAME = "index.duckdb"
MAX_HITS = 200
MAX_QUERY_CHARS = 1_000
MAX_WILD_TERMS = 50

# BM25 with the usual constants. A query word is a group of terms (the word, its value as a number); a document that
# holds all groups goes before one that repeats a single group often.
_BM25 = """
WITH wanted AS (SELECT unnest(?::VARCHAR[]) AS term, unnest(?::INTEGER[]) AS word),
matched AS (SELECT doc, word, max(n) AS n FROM asked JOIN wanted USING (term) GROUP BY doc, word),
rarity AS (SELECT word, count(*) AS held, ln(1 + (total - count(*) + 0.5) / (count(*) + 0.5)) AS idf
           FROM matched, (SELECT count(*) AS total FROM document) GROUP BY word, total),
scored AS (SELECT doc, count(*) AS held,
                  sum(idf * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * length / greatest(mean, 1)))) AS bm25
           FROM matched JOIN rarity USING (word) JOIN document USING (doc), (SELECT avg(length) AS mean FROM document)
           GROUP BY doc)
SELECT path, file.name, line, section, text, digest, bm25 * held / ? AS score,
       (SELECT list((word, held)) FROM rarity) AS words
FROM scored JOIN document USING (doc) JOIN file USING (path)
ORDER BY score DESC, path, line LIMIT ?
"""
# The rows of all terms that a query may lead to: the table is looked at once, 15 ms for a million rows.
_ASKED = """
CREATE OR REPLACE TEMP TABLE asked AS SELECT term, doc, n FROM term WHERE term IN (SELECT unnest(?::VARCHAR[]))
"""
_RECORDS = """
SELECT DISTINCT ON (id) id, created, kind, case_id, query, shard, checkpoint, reference, loss_nats, zone, conclusion,
       text, statuses, gate, device, dtype
FROM record ORDER BY created > ?, created DESC, id
"""


@dataclass(frozen=True)
class Hit:
    """A place that answers a query. `line` is the first line of `text`, counted from 1; `digest` is the file's sha256.

    `record`: the id of the record that the file is, None for any other.

    `name` is the path below its evidence folder, fit to be shown; `path` is where the file lies on this machine.
    `score` is BM25 times the share of the query's words found: comparable within one answer only.
    """

    path: str
    line: int
    section: str
    text: str
    digest: str
    score: float
    name: str = ""
    record: str | None = None


@dataclass(frozen=True)
class RecordRow:
    """One record as the index knows it, so that no file of it is read. Losses are nats and may be NaN or infinite.

    case_id: equal for records of the same files and window, whatever they were called. query: the case as a link names
    it. shard, checkpoint, reference: the names the record's author used. statuses: by hypothesis. gate: the word.
    What a record does not have is None.
    """

    id: str
    created: str
    kind: str
    case_id: str
    query: dict[str, str]
    shard: str
    checkpoint: str
    reference: str | None
    loss_nats: float | None
    zone: str | None
    conclusion: str | None
    text: str | None
    statuses: dict[str, str]
    gate: str | None
    device: str
    dtype: str


def evidence_dirs(settings: Settings) -> tuple[Path, ...]:
    """The folders whose text is indexed: the evidence folder and every evidence entry of a fresh scan."""
    return folders_of(settings, scan(settings))


def folders_of(settings: Settings, found: Catalogue) -> tuple[Path, ...]:
    """The same of a scan that was made."""
    entries = found.of("evidence")
    folders = [settings.evidence_dir.resolve(), *(entry.path.resolve() for entry in entries)]
    return tuple(folder for folder in dict.fromkeys(folders) if folder.exists())


def index_path(settings: Settings) -> Path:
    """Where the index of an installation lies: with the evidence, or in the cache where that may only be read."""
    there = settings.evidence_dir
    while not there.exists() and there != there.parent:
        there = there.parent
    if os.access(there, os.W_OK):
        return settings.evidence_dir / DB_NAME
    return settings.cache_dir / f"{short_hash(str(settings.evidence_dir.resolve()))}-{DB_NAME}"


def sync(source: Settings | Iterable[str | Path], db_path: Path) -> SyncReport:
    """Bring the index up to date with the settings' evidence, or with the folders given; others in it stay.

    Never fails on what a file contains. Waits up to 2 s for another process, then reads the files into memory only.
    """
    return sync_and_query(source, db_path, lambda con: None)[1]


def sync_and_query(
    source: Settings | Iterable[str | Path], db_path: Path, work: Callable[[Connection], T]
) -> tuple[T, SyncReport]:
    """`sync`, then `work` on the same connection: several questions to the index at the price of opening it once."""
    folders = _folders(source)
    missing = [folder for folder in folders if not folder.exists()]
    if folders and len(missing) == len(folders) and not isinstance(source, Settings):
        raise InputError("There is no such folder.", where=str(missing[0]), fix="Name a folder of evidence.")
    db_path = db_path.absolute()
    others = [folder for folder in read_sources(db_path) if folder not in folders]

    def both(opened: IndexHandle) -> tuple[T, SyncReport]:
        report = ingest(opened, folders)
        return work(opened.con), report

    answer = with_index(db_path, both, rebuild=lambda opened: ingest(opened, others))
    remember_sources(db_path, folders)
    return answer


def search(query: str, where: Path | Connection, limit: int = 20) -> list[Hit]:
    """The places that answer `query`, best first; 30 ms over 20,000 blocks. `where`: index file or a connection.

    Numbers, identifiers and status words match as a whole; `…` or `*` inside a word stands for anything. Given a
    file, the index is searched as it is, without looking for changed evidence. InputError when there is none.
    """
    if isinstance(where, Path):
        return asked(where, lambda con: search(query, con, limit))
    groups = _groups(where, query[:MAX_QUERY_CHARS])
    flat = [(term, word) for word, group in enumerate(groups) for term in sorted(group)]
    if not flat:
        return []
    names, numbers = [term for term, _ in flat], [word for _, word in flat]
    rows = where.execute(_BM25, [names, numbers, len(groups), max(1, min(limit, MAX_HITS))]).fetchall()
    weights = {word: 1.0 / count for word, count in rows[0][-1]} if rows else {}
    hits = []
    for path, name, line, section, text, sha, score, _ in rows:
        first, shown = _place(text.split("\n"), groups, weights)
        record = Path(path).stem if is_record(Path(path)) else None
        hits.append(Hit(path, line + first, section, shown, sha, round(score, 6), name, record))
    return hits


def records_table(where: Path | Connection) -> list[RecordRow]:
    """One row per record, newest first, from the index: no record file is read. Those from a clock that was ahead come
    last, or they would hide what is measured from now on."""
    if isinstance(where, Path):
        return asked(where, records_table)
    tomorrow = datetime.now(UTC) + timedelta(days=1)  # a day for time zones, which the text of a time is not sorted by
    cursor = where.execute(_RECORDS, [tomorrow.isoformat()])
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    texts = ("statuses", "query")
    return [RecordRow(**row | {key: json.loads(row[key]) for key in texts}) for row in rows]


def has_changed(hit: Hit) -> bool:
    """Whether the file differs from what was indexed, or is gone; reads it again."""
    try:
        return digest(read_source(Path(hit.path), around=0).ends) != hit.digest
    except OSError:
        return True


def _folders(source: Settings | Iterable[str | Path]) -> list[Path]:
    if isinstance(source, Settings):
        return list(evidence_dirs(source))
    return list(dict.fromkeys(Path(folder).resolve() for folder in source))


def asked(db_path: Path, work: Callable[[Connection], T]) -> T:
    """`work` on an index file as it is; built again when it is lost. InputError when there is none."""
    db_path = db_path.absolute()
    sources = read_sources(db_path)
    if not db_path.exists() and not sources:
        raise no_index(db_path)
    return with_index(db_path, lambda opened: work(opened.con), rebuild=lambda opened: ingest(opened, sources))


def _groups(con: Connection, query: str) -> list[set[str]]:
    """Each query word as the set of index terms that answer it; an unknown word becomes its parts, if all are known."""
    asked = list(dict.fromkeys(words(query, query=True)))[:MAX_QUERY_WORDS]
    wild = {word: _matching(con, pattern) for word in asked if (pattern := like_pattern(word.whole))}
    con.execute(_ASKED, [list({term for word in asked for term in word.terms}.union(*wild.values()))])
    known = {row[0] for row in con.execute("SELECT DISTINCT term FROM asked").fetchall()}
    groups: list[set[str]] = []
    for word in asked:
        whole = wild[word] if word in wild else {word.whole, word.value or word.whole} & known
        by_parts = not (whole or word in wild) and word.parts and known.issuperset(word.parts)
        groups += [{part} for part in word.parts] if by_parts else [whole]
    return groups


def _matching(con: Connection, pattern: str) -> set[str]:
    sql = f"SELECT DISTINCT term FROM term WHERE term LIKE ? ESCAPE '!' ORDER BY term LIMIT {MAX_WILD_TERMS}"
    return {row[0] for row in con.execute(sql, [pattern]).fetchall()}


def _place(lines: list[str], groups: list[set[str]], weights: dict[int, float]) -> tuple[int, str]:
    """The line of a block that answers best, rare words first, and its neighbours as long as they add a word."""
    held = [_held(line, groups) for line in lines]
    best = max(range(len(lines)), key=lambda i: (sum(weights.get(word, 0.0) for word in held[i]), -i))
    first = last = best
    seen = set(held[best])
    while last + 1 < len(lines) and held[last + 1] - seen:
        last += 1
        seen |= held[last]
    while first > 0 and held[first - 1] - seen:
        first -= 1
        seen |= held[first]
    return first, "\n".join(lines[first : last + 1])


def _held(line: str, groups: list[set[str]]) -> set[int]:
    here = {term for word in words(line) for term in word.terms}
    return {number for number, group in enumerate(groups) if group & here}
