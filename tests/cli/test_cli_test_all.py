"""`test --all`: each checkpoint under a folder, a record each; broken ones, runs that go on, and Ctrl-C."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from test_cli_contract import ROOT, answer, here

WINDOW = ("--batches", 1, "--batch-size", 2, "--seq-len", 64, "--device", "cpu")


@pytest.fixture
def runs(demo: Path, tmp_path: Path) -> Path:
    """Two checkpoints, one of them deeper, what a trainer leaves beside them, and one that broke off."""
    folder = tmp_path / "runs"
    shutil.copytree(demo / "checkpoints" / "healthy", folder / "a" / "step-2")
    shutil.copytree(demo / "checkpoints" / "h4c-norm-plus-one", folder / "step-1")
    weights = next((demo / "checkpoints" / "healthy").glob("*.safetensors")).read_bytes()
    (folder / "broken.safetensors").write_bytes(weights[: len(weights) // 2])
    (folder / "step-1" / "optimizer.pt").write_bytes(b"no model")
    return folder


def batch(runs: Path, shard: Path, *more: object) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    """The exit code, the object on stdout, and the lines on stderr."""
    evidence = ("--evidence", runs.parent / "evidence")
    asked = ("test", "H4C", "--all", "--checkpoint", runs, "--shard", shard, *WINDOW, *evidence, "--json", *more)
    code, out, err = here(*asked)
    return code, json.loads(out), [json.loads(line) for line in err.splitlines() if line.startswith("{")]


def records(runs: Path) -> set[str]:
    return {path.stem for path in (runs.parent / "evidence" / "records").glob("*.json")}


def test_each_is_tested_once_and_a_broken_one_ends_nothing(runs: Path, shard: Path) -> None:
    code, found, lines = batch(runs, shard)
    assert code == 0 and found["left"] == []
    kinds = {row["checkpoint"]: row["conclusion"]["kind"] for row in found["results"]}
    assert kinds.keys() == {"a/step-2", "step-1"} and kinds["step-1"] == "explained" != kinds["a/step-2"]
    assert [row["checkpoint"] for row in found["failed"]] == ["broken.safetensors"]
    assert "broken.safetensors" in found["failed"][0]["why"]
    assert [row["checkpoint"] for row in lines] == ["a/step-2", "broken.safetensors", "step-1"]
    assert {row["record"]["id"] for row in found["results"]} == records(runs) and len(records(runs)) == 2

    (runs / "step-1").rename(runs / "step-9")  # the same content under another name has its record
    again = batch(runs, shard)[1]
    assert [row["recorded_before"] for row in again["results"]] == [True, True] and len(records(runs)) == 2
    assert {row["record"]["id"] for row in again["results"]} == records(runs)
    assert {row["loss_nats"] for row in again["results"]} == {row["loss_nats"] for row in found["results"]}


def test_only_the_same_question_is_not_asked_again(runs: Path, shard: Path) -> None:
    batch(runs, shard)
    for more in (("--seq-len", 32), ("--expected-loss", 5.0), ("H4D",)):
        rows = batch(runs, shard, *more)[1]["results"]
        assert [row["recorded_before"] for row in rows] == [False, False], more
    shutil.copy(runs / "step-1" / "model.safetensors", runs / "a" / "step-2" / "model.safetensors")
    rows = {row["checkpoint"]: row for row in batch(runs, shard)[1]["results"]}
    assert rows["a/step-2"]["conclusion"]["kind"] == "explained"
    assert rows["a/step-2"]["record"]["id"] == rows["step-1"]["record"]["id"], "the same bytes are the same case"


def test_parts_share_the_work(runs: Path, shard: Path) -> None:
    rows = [row for part in ("1/2", "2/2") for row in batch(runs, shard, "--part", part)[2]]
    assert sorted(row["checkpoint"] for row in rows) == ["a/step-2", "broken.safetensors", "step-1"]
    whole = batch(runs, shard)[1]
    assert all(row["recorded_before"] for row in whole["results"])
    assert batch(runs, shard, "--part", "4/4")[1]["results"] == []


def test_the_gate_fails_a_batch_with_one_bad_checkpoint(runs: Path, shard: Path) -> None:
    assert batch(runs, shard, "--gate")[0] == 1


def test_a_table_for_people(runs: Path, shard: Path) -> None:
    (runs / "a" / "step-2" / "model.safetensors").unlink()
    evidence = ("--evidence", runs.parent / "evidence")
    code, out, err = here("test", "H4C", "--all", "--checkpoint", runs, "--shard", shard, *WINDOW, *evidence)
    assert code == 0, err
    rows = out.splitlines()
    assert rows[0].startswith("failed") and "broken.safetensors" in rows[0]
    assert rows[-2].startswith("explained") and "step-1  H4C · record " in rows[-2]
    assert "1 tested, 0 of them recorded before" in rows[-1]


def test_what_cannot_be_asked_is_refused_once(runs: Path, shard: Path, tmp_path: Path) -> None:
    def refused(*args: object) -> str:
        code, out, err = here("test", *args, *WINDOW)
        assert code == 2 and not out and err.count("\n") == 1
        return err

    (tmp_path / "empty").mkdir()
    assert "--part goes with --all" in refused("--checkpoint", runs, "--shard", shard, "--part", "1/2")
    assert "--all needs a folder" in refused("--all", "--checkpoint", runs / "broken.safetensors", "--shard", shard)
    assert "No checkpoint lies under" in refused("--all", "--checkpoint", tmp_path / "empty", "--shard", shard)
    assert "There is no such file" in refused("--all", "--checkpoint", runs, "--shard", tmp_path / "none.bin")
    for folder in (runs / "a", runs / "step-1"):
        shutil.rmtree(folder)
    code, found, _ = batch(runs, shard)
    assert code == 2 and len(found["failed"]) == 1


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(runs: Path, shard: Path) -> None:
    evidence = ("--evidence", runs.parent / "evidence")
    asked = ("test", "H4C", "--all", "--checkpoint", runs, "--shard", shard, "--device", "cpu", *evidence, "--json")
    window = ("--batches", 4, "--batch-size", 2, "--seq-len", 128)
    command = [sys.executable, "-m", "diag", *map(str, (*asked, *window))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        rows = [json.loads(process.stderr.readline()) for _ in range(2)]  # the first, and the one that is broken
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in said
    assert said.splitlines()[-1] == "Interrupted; 1 of 3 checkpoints are recorded."
    found = json.loads(out)
    assert found["results"] == rows[:1] and found["left"] == ["step-1"] and len(records(runs)) == 1
    after = answer(*asked[:-1], *window)
    assert [row["recorded_before"] for row in after["results"]] == [True, False]
