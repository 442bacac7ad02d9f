"""The operator's figures: the same numbers three times, closed unless asked for, and without names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.requests import Request

from diag.case import Case
from diag.jobs.protocol import HeldModel, Holds, JobRequest
from diag.jobs.queue import JobQueue
from diag.jobs.slots import Slot
from diag.settings import load_settings
from diag.ui.shell import server
from diag.ui.shell.figures import figures, prometheus


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> JobQueue:
    """Two workers, of which one keeps a model, and three jobs of two people; nothing runs."""
    monkeypatch.setattr(JobQueue, "_serve", lambda self, seat: None)
    monkeypatch.setenv("SUBRANDOM_EVIDENCE", str(tmp_path))
    made = JobQueue((Slot("cpu 1", False), Slot("cpu 2", False)))
    made.seats[0].holds = Holds(1, (HeldModel("secret/name", "fp32", 5 << 20),), 7 << 20)
    for number, owner in enumerate(("ann", "ann", "bob")):
        made.submit(JobRequest("measure", Case("secret/s", "secret/name"), stamp=str(number)), owner)
    monkeypatch.setattr(server, "_queue", made)
    return made


def test_what_an_operator_reads_is_what_a_scraper_reads(queue: JobQueue) -> None:
    state = figures(queue, load_settings())
    assert (state["queue"]["queued"], state["queue"]["people"], state["queue"]["running"]) == (3, 2, 0)
    assert [worker["ready"] for worker in state["workers"]] == [False, False]
    assert state["workers"][0]["model_bytes"] == 5 << 20 and state["memory"]["server_bytes"] > 10 << 20
    text = prometheus(state)
    line = re.compile(r'# TYPE subrandom_\w+ gauge|subrandom_\w+(\{\w+="[^"\\\n]*"\})? [0-9.e+-]+')
    assert all(line.fullmatch(each) for each in text.splitlines())
    assert "subrandom_queue_queued 3\n" in text and 'subrandom_worker_model_bytes{slot="cpu 1"} 5.24288e+06' in text
    assert "secret" not in text and "ann" not in text


def _answer(route: object, **headers: str) -> tuple[int, str]:
    raw = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    response = route(Request({"type": "http", "headers": raw, "method": "GET", "path": "/"}))  # type: ignore[operator]
    return response.status_code, bytes(response.body).decode()


def test_they_are_closed_until_the_settings_open_them(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _answer(server.status)[0] == _answer(server.metrics)[0] == 404
    monkeypatch.setenv("SUBRANDOM_STATUS", "1")
    code, text = _answer(server.status)
    assert code == 200 and len(json.loads(text)["workers"]) == 2 and _answer(server.metrics)[0] == 404
    monkeypatch.setenv("SUBRANDOM_METRICS", "1")
    assert _answer(server.metrics)[1].count("# TYPE") > 15


def test_who_may_only_look_sees_no_status(queue: JobQueue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "subrandom.toml"
    config.write_text('status = true\nname_header = "X-User"\nrunners = ["ann"]\n')
    monkeypatch.setenv("SUBRANDOM_CONFIG", str(config))
    assert _answer(server.status, x_user="ann")[0] == 200
    assert _answer(server.status, x_user="bob")[0] == _answer(server.status)[0] == 404
