"""The tray's rows: whose, in which order, and a batch as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from diag.case import Case
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from diag.ui.shell import server


def _page() -> None:
    from diag.ui.shell import tray

    tray.draw(None, "evidence")


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> JobQueue:
    monkeypatch.setattr(JobQueue, "_serve", lambda self, seat: None)
    monkeypatch.setattr(server, "_queue", JobQueue())
    return server.job_queue()


def ask(queue: JobQueue, number: int, owner: str, batch: str = "") -> str:
    case = Case("d/shard", f"d/model-{number}")
    return queue.submit(JobRequest("test", case, stamp=str(number)), owner, batch=batch).id


def test_mine_come_first_and_a_batch_is_one_row(queue: JobQueue) -> None:
    ask(queue, 0, "bob")
    ask(queue, 1, "")
    for number in range(2, 40):
        ask(queue, number, "bob", "wall 1")
    page = AppTest.from_function(_page).run(timeout=60)
    assert not page.exception
    texts = [each.value for each in page.markdown]
    assert len(texts) == 3 and "model-1 on shard" in texts[0].replace("&#45;", "-") and "you" in texts[0]
    assert "model-0" in texts[1].replace("&#45;", "-") and "person bob" in texts[1]
    assert texts[2].startswith("**38 more of a batch**")
    page.button(key="tray-cancel-wall 1").click().run()
    assert sum(job.state == "cancelled" for job in queue.all_jobs()) == 38
    assert len(page.markdown) == 2, "what was cancelled of a batch is no row each"


def test_what_is_finished_stays_for_its_owner_until_it_is_put_away(queue: JobQueue) -> None:
    import time

    mine, theirs = ask(queue, 0, ""), ask(queue, 1, "bob")
    for id in (mine, theirs):
        queue._jobs[id] = replace(queue._jobs[id], state="failed", error="Copy it <b>again</b>.", finished=time.time())
    page = AppTest.from_function(_page)
    page.session_state["pages"] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("diag.ui.shell.show.link", lambda *args: None)  # pages exist in the whole app only
        page.run(timeout=60)
        assert len(page.markdown) == 1 and "failed" in page.markdown[0].value and "<b>" not in page.markdown[0].value
        page.button(key=f"tray-away-{mine}").click().run()
    assert not page.exception and len(page.markdown) == 0
