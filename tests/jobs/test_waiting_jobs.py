"""What waited outlives its server: a real process that is killed, and files that somebody else wrote. Nothing runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from diag.jobs.queue import JobQueue
from diag.jobs.waiting import BEGUN, WaitingJobs
from diag.ui.shell import tray
from tests.jobs.test_turns import request

SERVER = """
import sys
from pathlib import Path
from diag.jobs.queue import JobQueue
from diag.jobs.waiting import WaitingJobs
from tests.jobs.test_turns import request
JobQueue._serve = lambda self, seat: None
queue = JobQueue(kept=WaitingJobs(Path(sys.argv[1])))
for number, owner in enumerate(("ann", "@bob", "cy")):
    queue.submit(request(number), owner, batch="wall 1" if owner == "cy" else "")
queue.submit(request(0), "cy")
queue.submit(request(9), "ann")
queue.cancel(request(9).id)
print("asked", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobQueue, "_serve", lambda self, seat: None)


def started(evidence: Path) -> JobQueue:
    """A server's queue, without its later looks."""
    return JobQueue(kept=WaitingJobs(evidence))


def files(evidence: Path) -> list[Path]:
    return sorted((evidence / "jobs").rglob("*.job"))


def test_jobs_of_a_killed_server_are_the_next_ones_and_those_of_a_living_one_are_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout and server.stdout.readline() == "asked\n"
        assert len(files(tmp_path)) == 3, "what was cancelled has none"
        assert started(tmp_path).all_jobs() == [], "its server lives"
        server.kill()
    restarted = started(tmp_path)
    jobs = {job.id: job for job in restarted.all_jobs()}
    assert set(jobs) == {request(number).id for number in range(3)} and all(job.resumed for job in jobs.values())
    first = jobs[request(0).id]
    assert first.owners == ("ann", "cy") and jobs[request(2).id].batch == "wall 1"
    assert tray.state(first) == "next, queued again after a restart"
    assert started(tmp_path).all_jobs() == [], "they are the other server's now"
    restarted.close()
    assert len(started(tmp_path).all_jobs()) == 3, "a server that ends in peace leaves what waits, too"


def test_a_job_that_took_its_servers_with_it_is_failed_and_not_begun_again(tmp_path: Path) -> None:
    queue = started(tmp_path)
    queue.submit(request(0), "ann")
    queue.close()
    (file,) = files(tmp_path)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"begun": BEGUN}))
    (failed,) = started(tmp_path).all_jobs()
    assert failed.state == "failed" and failed.error.startswith("2 servers") and failed.owners == ("ann",)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 60_000,
        '{"kind": "erase"}',
        '{"case": {"shard": "d/other"}}',
        '{"case": {"shard": "d/s", "checkpoint": "d/c", "window": "9999999x9999999x9999999"}}',
        '{"submitted": "NaN"}',
        '{"owners": ["ann\\u001b[2J"]}',
        f'{{"batch": "{"x" * 70_000}"}}',
    ],
)
def test_a_file_that_is_no_job_of_ours_is_dropped(tmp_path: Path, text: str) -> None:
    """A valid file, changed."""
    queue = started(tmp_path)
    queue.submit(request(0))
    queue.close()
    (file,) = files(tmp_path)
    changed = json.dumps(json.loads(file.read_text()) | json.loads(text)) if text.startswith("{") else text
    file.write_text(changed)
    assert started(tmp_path).all_jobs() == [] and files(tmp_path) == []


def test_a_folder_or_a_link_in_the_place_of_a_job_is_not_followed(tmp_path: Path) -> None:
    theirs = tmp_path / "jobs" / "0123456789abcdef"
    (theirs / f"{request(1).id}.job").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("x")
    (theirs / f"{request(0).id}.job").symlink_to(secret)
    queue = started(tmp_path)
    queue.submit(request(2))
    queue.close()
    (file,) = [path for path in files(tmp_path) if path.parent != theirs]
    file.rename(theirs / file.name)
    assert [job.id for job in started(tmp_path).all_jobs()] == [request(2).id] and secret.read_text() == "x"


def test_where_nothing_can_be_written_jobs_are_queued_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file in its place")
    queue = started(tmp_path)
    assert queue.submit(request(0)).state == "queued"
    queue.close()
