"""Damaged files: whatever happens to the bytes, the outcome is a shard whose reads work, or one line."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from token_files import WRITERS

from diag.errors import InputError
from diag.shards import open_shard, reader
from diag.shards.formats import columns, megatron, parquet

MUTATIONS = 120  # of each format
MOST_IDS = 1 << 22  # decoded of one damaged file: a count that passed every check may still be large

DOCUMENTS = [[1, 2, 3], [], [200, 7], [9] * 40, [5, 6, 7, 8], list(range(60))]


def _damaged(raw: bytes, rng: random.Random) -> bytes:
    """Cut, flipped, overwritten, filled up or doubled; headers more often than data."""
    if not raw:
        return bytes(rng.randrange(256) for _ in range(5))
    at = rng.randrange(len(raw)) if rng.random() < 0.5 else rng.randrange(min(64, len(raw)))
    if rng.random() < 0.25:
        at = max(0, len(raw) - 1 - rng.randrange(64))  # footers
    kind = rng.randrange(6)
    if kind == 0:
        return raw[:at]
    if kind == 1:
        return raw[:at] + bytes([raw[at] ^ (1 << rng.randrange(8))]) + raw[at + 1 :]
    if kind == 2:
        return raw[:at] + bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9))) + raw[at:]
    if kind == 3:
        value = rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1])
        return raw[:at] + value.to_bytes(8, "little") + raw[at + 8 :]
    if kind == 4:
        return raw[:at] + raw[at + rng.randrange(1, 9) :]
    return raw + raw[at:]


def _use(path: Path, dtype: str | None) -> bool:
    """Read a shard in every way; False where it is refused."""
    try:
        shard = open_shard(path, dtype=dtype)
        assert shard.tokens == sum(file.tokens for file in shard.shards) > 0
        for index, file in enumerate(shard.shards):
            middle = file.tokens // 2
            assert len(shard.ids(index, middle, middle + 5)) == min(5, file.tokens - middle)
            stop = min(file.tokens, MOST_IDS)
            assert sum(len(piece()) for piece in file.source.pieces(stop)) == stop
            for lengths in file.source.document_lengths() or ():
                assert lengths.min(initial=0) >= 0
    except InputError as error:
        assert "\n" not in str(error) and error.what.endswith((".", "…"))
        return False
    return True


@pytest.mark.parametrize("whole_folder", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_one_line_or_harmless(tmp_path, monkeypatch, name, whole_folder):
    monkeypatch.setattr(columns, "_JOIN_BELOW", 4)
    for module in (reader, columns, parquet):
        monkeypatch.setattr(module, "PIECE_IDS", 50)
    monkeypatch.setattr(megatron, "_CHUNK", 2)
    writer, rng = WRITERS[name], random.Random(name)
    whole = tmp_path / "whole"
    whole.mkdir()
    path = writer.write(whole, DOCUMENTS, writer.dtypes[-1])
    dtype = writer.dtypes[-1] if writer.asked else None
    files = sorted(whole.iterdir())
    usable = 0
    for round_ in range(MUTATIONS // 2):
        folder = tmp_path / f"damaged-{round_}"
        shutil.copytree(whole, folder)
        victim = folder / rng.choice(files).name
        victim.write_bytes(_damaged(victim.read_bytes(), rng))
        usable += _use(folder if whole_folder else folder / path.name, dtype)
    assert 0 < usable < MUTATIONS // 2, "the damage is too small or too large to test anything"
