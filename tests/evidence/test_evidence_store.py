"""The index file may be damaged, locked or gone: the answer stays right, because the files are the truth."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from diag.evidence.index import SyncReport, search, sync

_HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""
_SYNC = """
import sys
from pathlib import Path
from diag.evidence.index import search, sync
for _ in range(5):
    sync([Path(sys.argv[1])], Path(sys.argv[2]))
    assert "19.80" in search("19.80", Path(sys.argv[2]))[0].text
"""


@pytest.fixture
def db(tmp_path: Path, evidence: Path) -> Path:
    """An index over the small evidence folder."""
    sync([evidence], tmp_path / "index.duckdb")
    return tmp_path / "index.duckdb"


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, b"\0" * 12288])
def test_a_damaged_index_is_rebuilt_and_that_is_said(db: Path, evidence: Path, damage: bytes) -> None:
    db.write_bytes(damage)
    report = sync([evidence], db)
    assert report.added == 3 and any("damaged" in note and "rebuilt" in note for note in report.notes)
    assert search("19.80", db) and db.with_name("index.duckdb.broken").read_bytes() == damage


def test_a_search_alone_rebuilds_a_lost_or_damaged_index(db: Path) -> None:
    db.unlink()
    assert search("19.80", db)
    db.write_bytes(b"garbage")
    assert search("19.80", db)


def test_an_old_log_is_not_applied_to_the_new_file(db: Path, evidence: Path) -> None:
    db.write_bytes(b"garbage")
    db.with_name("index.duckdb.wal").write_bytes(b"older garbage")
    assert sync([evidence], db).documents > 0
    assert sync([evidence], db).notes == ()


def test_flipped_bytes_never_crash_a_search(db: Path, evidence: Path) -> None:
    good = db.read_bytes()
    rng = random.Random(5)
    for _ in range(12):
        data = bytearray(good)
        for _ in range(20):
            data[rng.randrange(len(data))] ^= 0xFF
        db.write_bytes(data)
        db.with_name("index.duckdb.wal").unlink(missing_ok=True)
        assert isinstance(sync([evidence], db), SyncReport)
        search("19.80", db)


def test_another_process_that_keeps_the_file_is_worked_around(db: Path, evidence: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(db)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        report = sync([evidence], db)
        assert report.in_memory and report.added == 3 and "in use" in report.notes[0]
        assert "19.80" in search("19.80", db)[0].text
        assert holder.stdin
        holder.stdin.close()
    assert not sync([evidence], db).in_memory


def test_two_processes_and_four_threads_get_the_same_answers(db: Path, evidence: Path) -> None:
    db.unlink()
    command = [sys.executable, "-c", _SYNC, str(evidence), str(db)]
    root = Path(__file__).resolve().parents[2]
    processes = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    wrong: list[str] = []

    def ask() -> None:
        for _ in range(5):
            hits = search("19.80", db)
            if not hits or "19.80" not in hits[0].text:
                wrong.append(str(hits))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert wrong == []
    assert sync([evidence], db).unchanged == 3
