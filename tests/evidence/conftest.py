"""A full record and a small evidence folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from evidence_samples import DISPATCH, MANIFEST, README, diagnosis, record_of

from diag.evidence.records import Record


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    """evidence/<step>/… with the kinds of files a team leaves."""
    step = tmp_path / "team" / "evidence" / "section-61-re-encode-2026-05-10"
    step.mkdir(parents=True)
    (step / "README.md").write_text(README)
    (step / "dispatch.txt").write_text(DISPATCH)
    (step / "qwen-manifest.json").write_text(MANIFEST)
    (step / "weights.bin").write_bytes(b"\0" * 64)
    return step.parent


@pytest.fixture
def record() -> Record:
    """The record of the broken head."""
    return record_of(diagnosis())
