"""A Ray cluster of two nodes on one host: a folder audited and checkpoints tested, a node killed in the middle of each.

    python -m benchmarks.on_ray [--files 200] [--cases 8] [--no-kill]

Needs ray. Prints the seconds of the local run and of the cluster's, and whether both say the same.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from diag.demo.build import DEFAULT_DIR

IDS = 200_000  # a file
WINDOW = ["--batches", "1", "--batch-size", "4", "--seq-len", "64", "--device", "cpu"]


def run(*arguments: str, address: str = "", **env: str) -> tuple[dict[str, Any], float]:
    """What the command printed, and its seconds."""
    started = time.perf_counter()
    environment = {**os.environ, **env, **({"RAY_ADDRESS": address} if address else {})}
    done = subprocess.run(
        [sys.executable, "-m", "diag", *arguments, "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout), time.perf_counter() - started


class Killing:
    """Kills a node of a cluster some seconds after it began, and adds another so that capacity is the same."""

    def __init__(self, cluster: Any, after: float) -> None:
        self.cluster, self.killed = cluster, False
        self.timer = threading.Timer(after, self._kill)
        self.timer.start()

    def _kill(self) -> None:
        self.cluster.remove_node(
            self.cluster.worker_nodes[next(iter(self.cluster.worker_nodes))]
            if isinstance(self.cluster.worker_nodes, dict)
            else next(iter(self.cluster.worker_nodes)),
            allow_graceful=False,
        )
        self.killed = True


def main() -> None:
    """Both, local and on the cluster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--no-kill", action="store_true")
    options = parser.parse_args()
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        corpus, models = base / "corpus", base / "models"
        corpus.mkdir()
        rng = np.random.default_rng(0)
        for i in range(options.files):
            rng.zipf(1.3, IDS).clip(1, 4095).astype("<u2").tofile(corpus / f"part-{i:05}.bin")
        sources = sorted(path for path in (DEFAULT_DIR / "checkpoints").iterdir() if path.is_dir())
        for i in range(options.cases):
            shutil.copytree(sources[i % len(sources)], models / f"{i}-{sources[i % len(sources)].name}")
        shard = ["shard", str(corpus), "--dtype", "u16", "--vocab-size", "4096", "--no-cache"]
        suite = ["test", "--all", "--checkpoint", str(models), "--shard", str(DEFAULT_DIR / "shards/stdlib"), *WINDOW]

        here, seconds = run(*shard, SUBRANDOM_CACHE=str(base / "c1"))
        tested, suite_seconds = run(*suite, "--evidence", str(base / "e1"))
        print(f"local: {options.files} files {seconds:.1f} s, {options.cases} cases {suite_seconds:.1f} s", flush=True)

        for what, command, local in (("files", shard, seconds), ("cases", suite, suite_seconds)):
            cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
            cluster.add_node(num_cpus=1)
            killing = None if options.no_kill else Killing(cluster, 8.0 + local / 4)
            there, took = run(
                *command,
                "--engine",
                "ray",
                *(["--evidence", str(base / "e2")] if what == "cases" else []),
                address=cluster.address,
                SUBRANDOM_CACHE=str(base / "c2"),
            )
            died = "a node killed" if killing and killing.killed else "no node killed"
            print(f"ray: {what} {took:.1f} s, {died}, the same: {_same(what, here, tested, there)}", flush=True)
            if killing:
                killing.timer.cancel()
            cluster.shutdown()


def _same(what: str, here: dict[str, Any], tested: dict[str, Any], there: dict[str, Any]) -> bool:
    if what == "files":
        return {k: v for k, v in here.items() if k != "seconds"} == {k: v for k, v in there.items() if k != "seconds"}

    def figures(value: dict[str, Any]) -> dict[str, Any]:
        return {row["checkpoint"]: (row["conclusion"], row["loss_nats"]) for row in value["results"]}

    return figures(tested) == figures(there) and tested["failed"] == there["failed"]


if __name__ == "__main__":
    main()
