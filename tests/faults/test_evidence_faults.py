"""A full or read-only disk, a clock that was ahead, a killed writer: no result is lost, and what is there answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from siblings import first
from streamlit.testing.v1 import AppTest

from diag.case import Case, Window
from diag.catalogue import scan
from diag.errors import InputError
from diag.evidence.index import index_path, records_table, search, sync, sync_and_query
from diag.evidence.records import check_writable, read_record, records_dir, write_record
from diag.jobs import unwritten
from diag.jobs.protocol import JobRequest
from diag.results.record import Record, import_record, make_record
from diag.settings import Settings, load_settings
from tests.faults.small_disk import fill, make_room, read_only, small_disk
from tests.forked_queue import forked_queue
from tests.jobs.test_job_queue import wait

ROOT = Path(__file__).resolve().parents[2]
SHARD, HEALTHY = "demo/shards/stdlib", "demo/checkpoints/healthy"

Disk = tuple[Callable[[], None], Callable[[], None]]
"""What makes the evidence folder refuse a record, and what makes it take one again."""


@pytest.fixture
def evidence(tmp_path: Path) -> Iterator[Path]:
    """The evidence folder, on a disk of 4 MiB where this user may mount one."""
    with small_disk(tmp_path / "evidence", 4):
        yield tmp_path / "evidence"


@pytest.fixture(params=first(["no folder", "full"]))
def disk(request: pytest.FixtureRequest, evidence: Path) -> Disk:
    """Ways to fail: a disk that is full, and a file where the folder of records was."""
    folder = records_dir(evidence)
    if request.param == "full":
        if not os.path.ismount(evidence):
            pytest.skip("this user may not mount a disk of 4 MiB")
        return lambda: fill(evidence), lambda: make_room(evidence)

    def refuse() -> None:
        folder.rmdir()
        folder.write_text("")

    return refuse, folder.unlink


@pytest.fixture
def record(demo: Path, tmp_path: Path) -> Record:
    """The record of a measurement, made in a place of its own."""
    from diag import api

    found = api.measure(demo / "checkpoints" / "healthy", demo / "shards" / "stdlib", window="1x1x16", device="cpu")
    return found.record


def started(evidence: Path) -> None:
    """Wait until the trial before the work is over: the folder is there, and nothing is on its way into it."""
    end = time.monotonic() + 60
    while not records_dir(evidence).is_dir() or list(records_dir(evidence).iterdir()):
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.3)


def test_a_disk_that_fills_up_during_a_job_loses_no_result(
    evidence: Path, demo: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(evidence))
    monkeypatch.setattr(unwritten, "RETRY_SECONDS", 0.1)
    refuse, take = disk
    with forked_queue() as queue:
        case = Case(SHARD, HEALTHY, window=Window(4, 4, 256), device="cpu")
        job = queue.submit(JobRequest("measure", case))
        while not wait(queue, job.id, ("running",)).text.startswith("Measuring"):
            time.sleep(0.01)
        refuse()
        done = wait(queue, job.id)
        assert done.state == "done" and done.record and "cannot be written" in done.error
        text = queue.unwritten.get(done.record)
        assert text and import_record(text.encode()).id == done.record
        refused = wait(queue, queue.submit(JobRequest("measure", case, stamp="again")).id)
        assert refused.state == "failed" and "Records cannot be written" in refused.error and "room" in refused.error
        assert queue.unwritten.get(done.record)
        take()
        end = time.monotonic() + 20
        while queue.unwritten.get(done.record):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert read_record(evidence, done.record).loss.nats == pytest.approx(import_record(text.encode()).loss.nats)
        assert records_dir(evidence).joinpath(f"{done.record}.json").read_text() == text


def _page() -> None:
    """A script of Streamlit: one job that is done, whose record no disk took."""
    import json

    import streamlit as st

    from diag.case import Case
    from diag.jobs.job import Job
    from diag.jobs.protocol import JobRequest
    from diag.ui.shell import run
    from diag.ui.shell.server import job_queue

    request = JobRequest("measure", Case("s", "c"))
    job_queue().unwritten.keep("0" * 16, json.dumps({"id": "0" * 16}))
    job_queue()._jobs[request.id] = Job(
        request.id, request, state="done", record="0" * 16, error="<b>: No space left on device."
    )
    st.query_params["job"] = request.id
    run.panel(None, "measure", everything=True)  # type: ignore[arg-type]  # what is picked does not matter


def test_the_page_offers_a_record_that_the_disk_refuses(evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(evidence))
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception and "not written yet" in page.warning[0].value
    assert "No space left on device" in page.warning[0].value and "<b>" not in page.warning[0].value
    assert page.query_params["job"], "the link keeps the job until the record is there"


@pytest.mark.parametrize("as_json", first([True, False]))
def test_the_command_line_prints_a_record_that_the_disk_refuses(
    evidence: Path, demo: Path, disk: Disk, as_json: bool
) -> None:
    command = [
        sys.executable,
        "-m",
        "diag",
        "test",
        "H4C",
        "--checkpoint",
        HEALTHY,
        "--shard",
        SHARD,
        "--device",
        "cpu",
    ]
    command += ["--batches", "1", "--batch-size", "2", "--seq-len", "64", "--evidence", str(evidence)]
    with subprocess.Popen(
        [*command, *(["--json"] if as_json else [])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        started(evidence)
        disk[0]()
        out, said = process.communicate(timeout=120)
    assert process.returncode == 2 and "cannot be written" in said.splitlines()[-1] and "Traceback" not in said
    if as_json:
        value = json.loads(out)
        assert value["record"]["path"] is None and "cannot be written" in value["record"]["error"]
        text = json.dumps(value["record"]["content"])
    else:
        text = out[out.index('{\n "id"') :]
    kept = import_record(text.encode())
    assert kept.diagnosis and kept.loss.nats is not None
    disk[1]()
    assert read_record(evidence, kept.id if write_record(evidence, kept) else "") == kept


def test_a_disk_without_room_is_found_before_the_work(evidence: Path) -> None:
    if not os.path.ismount(evidence):
        pytest.skip("this user may not mount a disk of 4 MiB")
    check_writable(evidence)
    fill(evidence)
    with pytest.raises(InputError, match=r"Records cannot be written: No space left.*Make room"):
        check_writable(evidence)
    make_room(evidence)
    check_writable(evidence)
    assert list(records_dir(evidence).iterdir()) == []


def test_only_old_files_that_were_on_their_way_are_removed(evidence: Path) -> None:
    folder = records_dir(evidence)
    check_writable(evidence)
    for name, age in ((".new-abcdefg0", 7200), (".new-abcdefg1", 60), (".new-notes", 7200), ("0123.json", 7200)):
        (folder / name).write_text("{")
        os.utime(folder / name, (time.time() - age,) * 2)
    check_writable(evidence)
    assert {file.name for file in folder.iterdir()} == {".new-abcdefg1", ".new-notes", "0123.json"}


def test_the_name_of_a_record_is_on_the_disk_before_it_is_acknowledged(
    evidence: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{handle}").readlink()), path.exists()))
        real(handle)

    path = records_dir(evidence) / f"{record.id}.json"
    monkeypatch.setattr(os, "fsync", fsync)
    write_record(evidence, record)
    assert synced[0] == (str(evidence), False), "the folder of records is new, and so is its name"
    assert synced[1][0].startswith(str(path.parent / ".new-")) and synced[-1] == (str(path.parent), True)


def made_at(created: str, like: Record) -> Record:
    """The same record with another time of creation."""
    parts = {key: like.content[key] for key in ("environment", "thresholds")}
    return make_record("measure", like.to_case(), like.inputs, like.result, created=created, **parts)


def test_a_record_from_a_clock_that_was_ahead_opens(evidence: Path, record: Record) -> None:
    ahead = made_at("2097-01-02T03:04:05+00:00", record)
    write_record(evidence, ahead)
    write_record(evidence, record)
    assert read_record(evidence, ahead.id).created.startswith("2097")
    rows, report = sync_and_query([records_dir(evidence)], evidence.parent / "index.duckdb", records_table)
    assert [row.id for row in rows] == [record.id, ahead.id], "what was measured today is not hidden by it"
    assert report.notes == ()
    with pytest.raises(InputError, match="no time of creation"):
        made_at("2026-01-02T03:04:05", record)  # of which zone?


def settings_of(evidence: Path, roots: str = "") -> Settings:
    """Everything below one temporary folder."""
    here = evidence.parent
    return load_settings(
        {
            "SUBRANDOM_EVIDENCE": str(evidence),
            "SUBRANDOM_DEMO": str(here / "none"),
            "SUBRANDOM_CACHE": str(here / "cache"),
            "SUBRANDOM_ROOTS": roots,
        }
    )


def test_evidence_that_may_only_be_read_still_answers(evidence: Path, record: Record) -> None:
    if not os.path.ismount(evidence):
        pytest.skip("this user may not mount a disk")
    write_record(evidence, record)
    (evidence / "findings.md").write_text("# Gate\n\nThe loss was 19.80 nats.\n")
    assert read_only(evidence)
    settings = settings_of(evidence)
    rows, report = sync_and_query(settings, index_path(settings), records_table)
    assert [row.id for row in rows] == [record.id] and not report.in_memory, "the index lies in the cache"
    assert search("19.80", index_path(settings))[0].name == "evidence/findings.md"
    report = sync([evidence], evidence / "index.duckdb")
    assert report.in_memory and "cannot be written (Read-only file system)" in report.notes[0] and report.documents > 0


def test_an_evidence_file_with_other_content_and_the_old_size_and_times_is_read_again(tmp_path: Path) -> None:
    note = tmp_path / "notes" / "findings.md"
    note.parent.mkdir()
    note.write_text("The loss was 19.80 nats.\n")
    sync([note.parent], tmp_path / "index.duckdb")
    times = note.stat()
    note.write_text("The loss was 11.93 nats.\n")
    os.utime(note, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert sync([note.parent], tmp_path / "index.duckdb").changed == 1
    assert search("11.93", tmp_path / "index.duckdb") and not search("19.80", tmp_path / "index.duckdb")


def test_an_index_path_that_is_a_folder_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for ask in (lambda: sync([tmp_path / "notes"], tmp_path), lambda: search("loss", tmp_path)):
        with pytest.raises(InputError, match=r"This is a folder, and the index is a file\. Name a file in it\."):
            ask()


def test_roots_in_one_another_list_a_file_once(tmp_path: Path) -> None:
    outer, inner = tmp_path / "data", tmp_path / "data" / "corpora" / "mine"
    for folder in (outer, outer / "corpora", inner, inner / "deep"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train.bin").write_bytes(bytes(64))
    (outer / "again").symlink_to(inner / "deep")
    for roots in (f"{outer}:{inner}", f"{inner}:{outer}"):
        found = scan(settings_of(tmp_path / "evidence", roots))
        ids = {"data/train.bin", "data/corpora/train.bin", "mine/train.bin", "mine/deep/train.bin"}
        assert sorted(entry.id for entry in found.of("shard")) == sorted(ids)
