"""Messages between the processes: what is written is read back, and any other line is no message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diag.case import Case, Window
from diag.jobs.protocol import (
    MAX_LINE,
    VERSION,
    Beat,
    Began,
    Cancel,
    Done,
    Failed,
    JobRequest,
    Message,
    Ready,
    Run,
    Step,
    parse,
    to_line,
)


def _line(**fields: object) -> str:
    return json.dumps({"version": VERSION, **fields})


MESSAGES: list[Message] = [
    JobRequest("test", Case("d/s", "d/c", window=Window(1, 2, 3)), ("H4A",)).to_message(),
    Cancel("ab"),
    Ready(7, {"torch": "2.13.0"}),
    Beat(7),
    Began("ab"),
    Step("ab", 0.5, "Measuring: 3 of 4 sequences"),
    Done("ab", "0" * 16),
    Failed("ab", "line one\nline two \u2028 </script>"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_one_line_and_comes_back(message: Message) -> None:
    line = to_line(message)
    assert "\n" not in line and parse(line) == message


@pytest.mark.parametrize(
    "line",
    [
        "Loading weights: 100%",
        "[1, 2]",
        _line(message="run", job="x"),
        _line(message="progress", job="x", fraction="half", text=""),
        _line(message="shutdown"),
        _line(message=["run"]),
        _line(message="cancel", job="x" * MAX_LINE),
        _line(message="cancel", job="x", version=VERSION + 1),
        '{"message": "cancel", "job": "x"}',
        "[" * 100_000,
    ],
)
def test_any_other_line_is_no_message(line: str) -> None:
    assert parse(_line(message="cancel", job="x")) == Cancel("x")
    assert parse(line) is None


@given(st.text())
def test_no_line_raises(line: str) -> None:
    assert parse(line) is None


def test_the_worker_is_told_names_and_no_paths() -> None:
    message = JobRequest("measure", Case("demo/s", "demo/c"), stamp="/data/s:1").to_message()
    assert isinstance(message, Run) and message.case["shard"] == "demo/s" and "/data" not in to_line(message)
