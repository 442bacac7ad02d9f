"""A queue of its own for a test, with a real worker process, and the folder of its records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from diag.jobs.queue import JobQueue
from tests.forked_queue import forked_queue


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Path) -> Path:
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(tmp_path))
    return tmp_path


@pytest.fixture
def jobs(evidence: Path) -> Iterator[JobQueue]:
    with forked_queue() as made:
        yield made


@pytest.fixture
def cold(evidence: Path) -> Iterator[JobQueue]:
    """A queue that starts its worker itself."""
    made = JobQueue()
    yield made
    made.close()


@pytest.fixture
def spared(evidence: Path) -> Iterator[JobQueue]:
    """A queue with a worker in reserve."""
    made = JobQueue(spare=True)
    yield made
    made.close()
