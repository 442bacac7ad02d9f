"""A record attests only content that was measured: whatever changes while it is measured is refused, and no cache takes
one content for another that has its size and its times."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diag import api, file_state
from diag.case import Case, Window
from diag.catalogue import scan
from diag.checkpoints import audit_checkpoint, open_checkpoint
from diag.errors import InputError
from diag.evidence.records import records_dir
from diag.jobs.protocol import JobRequest
from diag.settings import load_settings
from diag.shards import Plan, open_shard
from diag.shards.counting.store import key_of
from tests.forked_queue import forked_queue
from tests.jobs.test_job_queue import wait

WINDOW = "1x2x64"


def over(path: Path, data: bytes) -> None:
    """Other bytes in the same file, and its old times: `cp -p`."""
    times = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def in_place_of(path: Path, data: bytes) -> None:
    """Another file under the same name, with the times of the old one: `rsync -t`."""
    times, other = path.stat(), path.with_name(f".{path.name}.new")
    other.write_bytes(data)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)


def flipped(path: Path) -> bytes:
    """The content with one bit changed in the middle, where a fingerprint of both ends does not look."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    return bytes(data)


@pytest.fixture
def files(tmp_path: Path, healthy: Path) -> Path:
    """A folder of one's own: a checkpoint, its reference, and a shard of 6 MiB."""
    shutil.copytree(healthy, tmp_path / "model")
    shutil.copytree(healthy, tmp_path / "reference")
    ids = np.random.default_rng(0).integers(0, 4096, 3 << 19, dtype=np.uint32)
    ids.tofile(tmp_path / "train.bin")
    return tmp_path


def measured(files: Path, change: Callable[[], None]) -> api.Measured:
    """A measurement during which `change` is called once, in the middle of the forward pass."""
    pending = [change]

    def progress(fraction: float | None, text: str, /) -> None:
        if text.startswith("Measuring the reference") and pending:
            pending.pop()()

    found = api.measure(
        files / "model",
        files / "train.bin",
        reference=files / "reference",
        window=WINDOW,
        device="cpu",
        progress=progress,
    )
    assert not pending
    return found


CHANGED = (
    "model/model.safetensors",
    "model/config.json",
    "model/tokenizer.json",
    "reference/model.safetensors",
    "train.bin",
)


@pytest.mark.parametrize("how", [over, in_place_of])
@pytest.mark.parametrize("name", CHANGED)
def test_a_file_that_changes_while_it_is_measured_gives_no_record(
    files: Path, name: str, how: Callable[[Path, bytes], None]
) -> None:
    path = files / name
    data = flipped(path)
    with pytest.raises(InputError, match=r"changed while it was read.*nothing was recorded.*run it again") as told:
        measured(files, lambda: how(path, data))
    assert told.value.where == str(path)


def test_a_file_that_came_while_it_was_measured_and_would_be_read_now_gives_no_record(files: Path) -> None:
    (files / "model" / "tokenizer.json").rename(files / "later.json")
    with pytest.raises(InputError, match=r"tokenizer\.json: the file changed"):
        measured(files, lambda: (files / "later.json").rename(files / "model" / "tokenizer.json") and None)


def test_a_file_that_is_only_read_or_lies_beside_is_no_change(files: Path) -> None:
    def meanwhile() -> None:
        (files / "model" / "model.safetensors").read_bytes()
        (files / "model" / "notes.txt").write_text("looks good")
        (files / "val.bin").write_bytes(bytes(64))

    assert measured(files, meanwhile).record.inputs["checkpoint"]["fingerprint"]


@pytest.mark.parametrize("name", ["model/model.safetensors", "train.bin"])
def test_where_no_states_are_kept_the_content_is_compared(
    files: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_state, "KEEPS_STATES", frozenset())  # as on FAT: neither inode nor ctime counts
    path = files / name
    data = flipped(path)
    with pytest.raises(InputError, match="changed while it was read"):
        measured(files, lambda: over(path, data))
    before = open_checkpoint(files / "model").fingerprint
    over(files / "model" / "model.safetensors", flipped(files / "model" / "model.safetensors"))
    assert open_checkpoint(files / "model").fingerprint != before
    inode = path.stat().st_ino
    measured(files, lambda: in_place_of(path, path.read_bytes()))
    assert path.stat().st_ino != inode


@pytest.mark.parametrize("how", [over, in_place_of])
def test_no_cache_takes_a_copy_with_the_same_size_and_times_for_the_old_content(
    files: Path, how: Callable[[Path, bytes], None]
) -> None:
    weights, ids = files / "model" / "model.safetensors", files / "train.bin"
    settings = load_settings({"SUBRANDOM_ROOTS": str(files), "SUBRANDOM_DEMO": str(files / "none")})

    def known() -> list[str]:
        entries = scan(settings).entries
        stamps = [entry.stamp for entry in entries if entry.path in (weights.parent, ids)]
        assert len(stamps) == 2
        return [*stamps, open_checkpoint(files / "model").fingerprint, key_of(open_shard(ids), 0, Plan(8), 100)]

    first = known()
    assert known() == first
    for path in (weights, ids):
        size, time = path.stat().st_size, path.stat().st_mtime_ns
        how(path, flipped(path))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (size, time)
    assert all(new != old for new, old in zip(known(), first, strict=True))


def test_a_change_within_one_tick_of_the_clock_is_seen(files: Path) -> None:
    path = files / "train.bin"
    data = [flipped(path), path.read_bytes()]
    for attempt in range(20):
        over(path, data[attempt % 2])  # a moment before it is opened
        read = open_shard(path).files_read
        over(path, data[(attempt + 1) % 2])  # and a moment after
        assert file_state.changed_since(read) == [path]


def test_an_audit_of_a_file_that_changes_meanwhile_is_refused(files: Path) -> None:
    path = files / "model" / "model.safetensors"
    pending = [flipped(path)]

    def progress(fraction: float | None, text: str, /) -> None:
        if pending:
            in_place_of(path, pending.pop())

    with pytest.raises(InputError, match="changed while it was read"):
        audit_checkpoint(open_checkpoint(files / "model"), progress)


def test_the_worker_refuses_too(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = files / "evidence"
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(evidence))
    monkeypatch.setenv("SUBRANDOM_ROOTS", str(files))
    case = Case(f"{files.name}/train.bin", f"{files.name}/model", window=Window(8, 4, 256), device="cpu")
    with forked_queue() as queue:
        job = queue.submit(JobRequest("measure", case))
        while not wait(queue, job.id, ("running",)).text.startswith("Measuring the checkpoint"):
            time.sleep(0.01)
        weights = files / "model" / "model.safetensors"
        in_place_of(weights, flipped(weights))
        failed = wait(queue, job.id)
    assert failed.state == "failed" and "changed while it was read" in failed.error
    assert not list(records_dir(evidence).glob("*.json"))
