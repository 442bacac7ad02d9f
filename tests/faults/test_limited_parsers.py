"""What tokenizers and pyarrow do with a file that was made to hurt: the child ends, the process that asked does not."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import diag
from diag import isolated
from diag.errors import InputError
from diag.isolated import pool
from diag.shards import TokenText

IDS = 20_000_000  # of int64, all the same: 160 MB, in a file of some kB


def tokenizer(folder: Path, decoder: object = None, entries: int = 300) -> Path:
    """A WordLevel vocabulary of a0, a1, …"""
    vocabulary = {f"a{i}": i for i in range(entries)}
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "a0"}
    about = {"version": "1.0", "added_tokens": [], "model": model, "decoder": decoder}
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(about))
    return folder


def doubling(steps: int) -> object:
    """Every step makes two of one: 139 kB of them ask for 96 GB."""
    step = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    return {"type": "Sequence", "decoders": [step] * steps}


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Set an environment variable, for the children too: those that are there have the environment of their start."""

    def put(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        end_children()

    yield put
    end_children()


def end_children() -> None:
    while child := pool._taken():
        child.end()


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_a_tokenizer_that_asks_for_gigabytes_is_refused_and_the_next_one_opens(tmp_path: Path) -> None:
    good = TokenText.open(tokenizer(tmp_path / "good"))
    before, started = peak_mib(), time.monotonic()
    with pytest.raises(InputError, match="parser_memory_mb"):
        TokenText.open(tokenizer(tmp_path / "bomb", doubling(34))).texts([1, 2, 3])
    assert peak_mib() - before < 50 and time.monotonic() - started < 30
    assert good.texts([1, 2]) == ["a1", "a2"]


def test_a_decoder_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TokenText.open(tokenizer(tmp_path))
    monkeypatch.setenv("SUBRANDOM_PARSER_SECONDS", "1")
    (child,) = pool._idle[-1:]
    os.kill(child.process.pid, signal.SIGSTOP)  # as one that computes for hours looks from outside
    with pytest.raises(InputError, match=r"takes longer than 1 s.*parser_seconds"):
        text.texts([1])
    monkeypatch.delenv("SUBRANDOM_PARSER_SECONDS")
    assert child.process.poll() is not None and text.texts([7]) == ["a7"]


def test_a_child_that_is_killed_in_the_middle_is_a_sentence(tmp_path: Path) -> None:
    text = TokenText.open(tokenizer(tmp_path))
    stream = isolated.stream("tokenizer.texts", str(text.path), state=text._state, ids=[1])
    next(stream)
    end_children()
    os.kill(next(iter(_children())), signal.SIGKILL)
    with pytest.raises(InputError, match="ended in the middle of it"):
        next(stream)
    assert text.texts([1]) == ["a1"]


def _children() -> list[int]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for task in tasks for pid in task.read_text().split()]
    return [pid for pid in pids if b"diag.isolated.child" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_tokenizer_of_too_many_entries_names_the_setting(tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    setting("SUBRANDOM_MAX_TOKENIZER_ENTRIES", "299")
    with pytest.raises(InputError, match=r"300 entries, and 299 are the most.*max_tokenizer_entries"):
        TokenText.open(tokenizer(tmp_path))


def test_a_tokenizer_that_was_replaced_is_not_asked_under_its_old_name(tmp_path: Path) -> None:
    text = TokenText.open(tokenizer(tmp_path))
    tokenizer(tmp_path, entries=310)
    end_children()  # one that still holds the old file may answer for it
    with pytest.raises(InputError, match="changed while it was read"):
        text.texts([1])


def parquet(file: Path) -> Path:
    pq.write_table(pa.table({"input_ids": np.full(IDS, 7)}), file, compression="zstd")
    return file


def arrow(file: Path) -> Path:
    table = pa.table({"input_ids": np.full(IDS, 7)})
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 9))
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=IDS // 4)
    return file


@pytest.mark.parametrize(("make", "suffix"), [(parquet, ".parquet"), (arrow, ".arrow")])
def test_a_small_table_of_gigabytes_names_the_setting_that_lets_it_in(
    make, suffix: str, tmp_path: Path, setting: Callable[[str, str], None]
) -> None:
    file = make(tmp_path / f"ids{suffix}")
    assert file.stat().st_size < 100_000
    before = peak_mib()
    with pytest.raises(InputError, match="max_expansion"):
        diag.open_shard(file)
    assert peak_mib() - before < 100
    setting("SUBRANDOM_MAX_EXPANSION", "100000")
    assert diag.open_shard(file).tokens == IDS


def test_a_table_that_needs_more_memory_than_a_reader_gets(tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    file = arrow(tmp_path / "ids.arrow")
    setting("SUBRANDOM_MAX_EXPANSION", "100000")
    setting("SUBRANDOM_PARSER_MEMORY_MB", "30")
    with pytest.raises(InputError, match=r"parser_memory_mb|cannot be decoded"):
        diag.open_shard(file)
