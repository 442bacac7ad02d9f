"""A first part of what `make fuzz` does, and every file that once failed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from readers import READERS
from tries import SEEDS, run, timed

KEPT = sorted(path for reader in SEEDS.glob("*") for path in reader.glob("*"))


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_opens_or_is_refused_in_one_line(name: str) -> None:
    tries = 60 if READERS[name].tries <= 10_000 else 200
    outcome = run(READERS[name], range(tries))
    assert outcome.failures == ()
    # A folder of files opens without the damaged one, which the audit names.
    least = 0 if name == "pretokenize-bin-v1 2" else tries // 20
    assert tries - outcome.opened > least, "the damage does not reach what is checked"


@pytest.mark.parametrize("kept", KEPT, ids=lambda path: f"{path.parent.name} {path.name}")
def test_what_once_failed(kept: Path, tmp_path: Path) -> None:
    reader = READERS[kept.parent.name]
    (tmp_path / "sample").mkdir()
    name = reader.write(tmp_path / "sample").relative_to(tmp_path / "sample")
    assert timed(reader, kept / name)[2] == ""
