"""Ray as an engine: refused in a sentence where it is not installed; with it, on a real cluster of two nodes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diag.case import Case
from diag.evidence.records import read_record
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from diag.jobs.slots import Slot
from tests.jobs.test_job_queue import HEALTHY, LONG, SHARD, wait
from tests.jobs.test_stuck_worker import until

ROOT = Path(__file__).resolve().parents[2]
MISSING = find_spec("ray") is None
needs_ray = pytest.mark.skipif(MISSING, reason="Ray is not installed: pip install ray runs these")


def subrandom(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "diag", *arguments]
    environment = {**os.environ, **env}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for i in range(6):
        np.random.default_rng(i).zipf(1.3, 20_000).clip(1, 4095).astype("<u2").tofile(folder / f"part-{i}.bin")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that does no work, and two nodes of a core each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    made.add_node(num_cpus=1)
    yield made
    import ray

    ray.shutdown()
    made.shutdown()


@pytest.mark.skipif(not MISSING, reason="Ray is installed")
@pytest.mark.parametrize("engine", ["ray", "ray://head.example:10001"])
def test_without_ray_the_engine_is_one_line(corpus: Path, engine: str) -> None:
    done = subrandom("shard", str(corpus), "--dtype", "u16", "--engine", engine, "--json")
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.count("\n") == 1 and 'pip install "subrandom[ray]"' in done.stderr


@pytest.mark.parametrize("engine", ["spark", "ray://", "RAY", ""])
def test_another_engine_is_refused(corpus: Path, engine: str) -> None:
    done = subrandom("shard", str(corpus), "--dtype", "u16", f"--engine={engine}", "--json")
    assert (done.returncode, done.stderr.count("\n")) == ((2, 1) if engine else (0, 0))


@needs_ray
def test_a_folder_counted_by_two_nodes_is_the_folder_counted_here(corpus: Path, cluster: Any) -> None:
    asked = ("shard", str(corpus), "--dtype", "u16", "--vocab-size", "4096", "--json")
    here, there = subrandom(*asked), subrandom(*asked, "--engine", "ray", RAY_ADDRESS=cluster.address)
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    both = [json.loads(done.stdout) for done in (here, there)]
    assert all(value.pop("seconds") > 0 for value in both) and both[0] == both[1]


@needs_ray
def test_checkpoints_tested_by_the_cluster_have_the_same_records(tmp_path: Path, demo: Path, cluster: Any) -> None:
    shutil.copytree(demo / "checkpoints/healthy", tmp_path / "models/a")
    shutil.copytree(demo / "checkpoints/h4c-norm-plus-one", tmp_path / "models/b")
    asked = ["test", "H4C", "--all", "--checkpoint", str(tmp_path / "models"), "--shard", str(demo / "shards/stdlib")]
    asked += ["--batches", "1", "--batch-size", "2", "--seq-len", "32", "--device", "cpu", "--json"]
    here = subrandom(*asked, "--evidence", str(tmp_path / "e1"))
    on_ray = ("--evidence", str(tmp_path / "e2"), "--engine", "ray")
    there, again = (subrandom(*asked, *on_ray, RAY_ADDRESS=cluster.address) for _ in range(2))
    rows = [{row["checkpoint"]: row for row in json.loads(done.stdout)["results"]} for done in (here, there, again)]
    for name in ("a", "b"):
        assert rows[0][name]["conclusion"] == rows[1][name]["conclusion"]
        assert rows[0][name]["loss_nats"] == rows[1][name]["loss_nats"]
        assert Path(rows[1][name]["record"]["path"]).is_relative_to(tmp_path / "e2")
        assert rows[2][name]["recorded_before"] and rows[2][name]["record"]["id"] == rows[1][name]["record"]["id"]


@needs_ray
def test_a_job_whose_node_dies_is_done_by_another(
    evidence: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diag.jobs import ray_engine
    from diag.jobs.ray_worker import RayWorker

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    ray = ray_engine.connect("ray")
    jobs = JobQueue((Slot("ray 1", False),), lambda slot: RayWorker(slot, ray))
    try:
        long = jobs.submit(JobRequest("measure", Case(SHARD, HEALTHY, window=LONG, device="cpu")))
        until(lambda: jobs.get(long.id).fraction > 0)  # type: ignore[union-attr]
        worker: Any = jobs.seats[0].worker
        node = next(n for n in cluster.worker_nodes if n.node_id == _node_of(worker))
        cluster.remove_node(node, allow_graceful=False)  # as a lost machine is: without a word
        done = wait(jobs, long.id, seconds=240)
        assert done.state == "done" and jobs.seats[0].worker is not worker
        assert read_record(evidence, str(done.record)).baseline.tokens == LONG.sequences * LONG.seq_len
    finally:
        jobs.close()
        time.sleep(0.5)


def _node_of(worker: Any) -> str:
    from ray._private.state import actors

    return str(actors(worker._actor._actor_id.hex())["Address"]["NodeID"])
