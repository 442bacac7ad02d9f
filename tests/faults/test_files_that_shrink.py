"""A file that becomes shorter while it is open: a sentence, never the end of the process (SIGBUS, as maps give)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

SHARD = """
import os, sys
import diag
shard = diag.open_shard(sys.argv[1], **eval(sys.argv[2]))
for file in sys.argv[3:]:
    os.truncate(file, os.path.getsize(file) // 3 // 4096 * 4096)
try:
    diag.audit_shard(shard)
    print("audited", [bad.error for bad in diag.audit_shard(shard).bad_files])
except diag.InputError as error:
    print("refused", error)
"""
CHECKPOINT = """
import os, sys
import diag
checkpoint = diag.open_checkpoint(sys.argv[1])
name = max(checkpoint.tensors, key=lambda n: checkpoint.tensors[n].offset)
os.truncate(checkpoint.files[0], os.path.getsize(checkpoint.files[0]) // 3 // 4096 * 4096)
for look in (lambda: diag.audit_checkpoint(checkpoint), lambda: checkpoint.raw(name), lambda: checkpoint.float32(name)):
    try:
        look()
        print("no error")
    except diag.InputError as error:
        print("refused", error)
"""


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


def plain(folder: Path) -> list[Path]:
    file = folder / "ids.bin"
    np.random.default_rng(0).integers(0, 4000, 4_000_000).astype("<u2").tofile(file)
    return [file]


def arrow(folder: Path) -> list[Path]:
    file = folder / "ids.arrow"
    table = pa.table({"input_ids": [np.arange(5000, dtype=np.int32)] * 300})
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=10):
            writer.write_batch(batch)
    return [file]


def megatron_index(folder: Path) -> list[Path]:
    lengths = np.full(300_000, 3, dtype="<i4")
    np.arange(900_000).astype("<u2").tofile(folder / "ids.bin")
    head = b"MMIDIDX\0\0" + (1).to_bytes(8, "little") + b"\x08" + (300_000).to_bytes(8, "little")
    with (folder / "ids.idx").open("wb") as out:
        out.write(head + (300_001).to_bytes(8, "little") + lengths.tobytes())
        out.write((np.cumsum(lengths, dtype="<i8") * 2 - 6).astype("<i8").tobytes())
        out.write(np.arange(300_001, dtype="<i8").tobytes())
    return [folder / "ids.idx"]


@pytest.mark.parametrize("make", [plain, arrow, megatron_index])
def test_a_shard_that_shrinks_after_it_was_opened_is_refused_in_a_sentence(make, tmp_path: Path) -> None:
    files = make(tmp_path)
    opened = tmp_path / "ids.bin" if make is megatron_index else files[0]
    given = "{'dtype': 'u16'}" if make is plain else "{}"
    said = run(SHARD, str(opened), given, *map(str, files))
    assert said.count("\n") == 1
    assert "shorter" in said or "ended in the middle" in said or "cannot be decoded" in said, said


def test_a_checkpoint_that_shrinks_after_it_was_opened_is_refused_in_a_sentence(healthy: Path, tmp_path: Path) -> None:
    for each in healthy.iterdir():
        (tmp_path / each.name).write_bytes(each.read_bytes())
    said = run(CHECKPOINT, str(tmp_path)).splitlines()
    assert len(said) == 3 and all(line.startswith("refused") and "shorter" in line for line in said), said
