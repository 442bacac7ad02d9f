"""What cases of one shard share is computed once for a content, and anew for another."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from diag import file_state
from diag.case import Case, Window
from diag.jobs.inputs import Inputs, open_inputs
from diag.kept import Kept


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """200,000 ids in a file of one's own."""
    file = tmp_path / "shard-00000.bin"
    np.random.default_rng(0).geometric(0.01, 200_000).clip(0, 4095).astype("<u4").tofile(file)
    return file


def opened(shard: Path, checkpoint: Path, seq_len: int = 32) -> Inputs:
    case = Case(str(shard), str(checkpoint), None, Window(2, 2, seq_len))
    return open_inputs(case, lambda kind, name: Path(name))


def test_checkpoints_with_the_same_tokenizer_share_audit_and_bigram(demo: Path, shard: Path) -> None:
    here, there = (opened(shard, demo / "checkpoints" / name) for name in ("healthy", "h4a-random-head"))
    assert here.audit is there.audit and here.bigram is there.bigram and here.bigram is not None


def test_another_window_has_another_bigram(healthy: Path, shard: Path) -> None:
    here, there = opened(shard, healthy), opened(shard, healthy, 64)
    assert here.audit is there.audit and here.bigram is not None and there.bigram is not None
    assert (here.bigram.scored, there.bigram.scored) == (2 * 2 * 32, 2 * 2 * 64)


def test_another_tokenizer_has_another_audit(healthy: Path, shard: Path, tmp_path: Path) -> None:
    shutil.copytree(healthy, tmp_path / "without")
    (tmp_path / "without" / "tokenizer.json").unlink()
    here, there = opened(shard, healthy), opened(shard, tmp_path / "without")
    assert here.audit.top[0].text is not None and there.audit.top[0].text is None


def test_another_content_is_counted_anew(healthy: Path, shard: Path) -> None:
    before = opened(shard, healthy)
    assert before.audit.max_id < 4095 and before.bigram is not None
    ids = np.fromfile(shard, "<u4")
    ids[150_000] = 4095
    ids.tofile(shard)
    after = opened(shard, healthy)
    assert after.audit.max_id == 4095 and after.bigram is not before.bigram


def test_nothing_is_kept_where_contents_cannot_be_told_apart(
    healthy: Path, shard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_state, "KEEPS_STATES", frozenset())
    assert opened(shard, healthy).audit is not opened(shard, healthy).audit


def test_one_thread_makes_what_others_wait_for_and_a_failure_is_not_kept() -> None:
    kept: Kept[str, int] = Kept(2)
    begun, go_on, made = threading.Event(), threading.Event(), []

    def make() -> int:
        begun.set()
        go_on.wait(10)
        made.append(1)
        return len(made)

    threads = [threading.Thread(target=lambda: kept.of("a", make)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert made == [1] and kept.of("a", make) == 1
    with pytest.raises(ZeroDivisionError):
        kept.of("b", lambda: 1 // 0)
    assert kept.of("b", lambda: 7) == 7
