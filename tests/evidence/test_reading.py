"""Several processes that read files at once give what one gives, also when one of them is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from evidence_samples import diagnosis, record_of

from diag.evidence import reading as readers
from diag.evidence.documents import read_documents
from diag.evidence.files import text_files
from diag.evidence.records import write_record


@pytest.mark.skipif(sys.platform == "win32", reason="the processes are killed by a signal")
def test_processes_give_what_one_gives_and_one_that_is_killed_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "ALONE", 0)
    monkeypatch.setattr(readers, "PIECE_FILES", 3)
    monkeypatch.setattr(readers, "_cores", lambda: 3)
    write_record(tmp_path / "e", record_of(diagnosis()))
    for i in range(60):
        (tmp_path / "e" / f"run-{i:02d}.log").write_text(f"step {i}: val_loss {9 - i / 10:.2f}\n" * (i + 1))
    (tmp_path / "e" / "broken.json").write_text('{"name": "\\ud800", "val_loss": 3.5}')
    files = list(text_files(tmp_path / "e"))
    (tmp_path / "e" / "run-17.log").unlink()
    alone = dict(zip(files, read_documents([(item, "") for item in files]), strict=True))
    for kill in (False, True):
        with readers.Readers(files, {}) as several:
            if kill:
                several._children[0].kill()
            found = {item: read for batch in several.batches() for item, read in zip(*batch, strict=True)}
        assert found == alone, kill
        assert all(child.poll() is not None for child in several._children)
    assert sum(isinstance(read, str) for read in alone.values()) == 1
