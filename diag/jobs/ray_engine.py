"""Work on a Ray cluster: the same functions as tasks. Placement, retries and lost nodes are Ray's.

    engine = "ray"                      the cluster of this machine, or RAY_ADDRESS; a local one where there is none
    engine = "ray://head.example:10001" a cluster elsewhere, through Ray's client

A task gets paths and options and gives back plain values. The nodes need the same version of Subrandom, and see the
files under the same paths; one that does not says which.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from diag.errors import InputError
from diag.extras import require
from diag.installation import OFFLINE, child_environment

A = TypeVar("A")
R = TypeVar("R")
RETRIES = 5  # of a task whose node died
AT_ONCE = 4  # tasks that are handed over, for each CPU of the cluster: a million are not


def connect(engine: str) -> Any:
    """The module ray, connected. InputError where it is not installed or no cluster answers."""
    require("ray", f"The engine {engine}", where="--engine")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if not ray.is_initialized():
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "runtime_env": _environment()}
        if engine.startswith("ray://"):
            options["address"] = engine
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what they say is in the error
                ray.init(**options)
        except Exception as error:  # ConnectionError, ValueError, RuntimeError, by version and way
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"No Ray cluster answers ({text}).", where=engine, fix="Start one: ray start --head, or use local."
            ) from None
    return ray


def run_tasks(
    ray: Any, work: Callable[[A], R], items: Iterable[A], *, gpus: float = 0.0, cpus: float = 1.0
) -> Iterator[tuple[A, R]]:
    """(item, what `work` gave for it), in the order in which they are done. A task whose node dies runs again on
    another, up to RETRIES times; what `work` raises is raised here."""
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(work)
    left, waiting = iter(items), {}
    most = AT_ONCE * max(1, int(ray.cluster_resources().get("CPU", 1)))
    while True:
        for item in left:
            waiting[task.remote(item)] = item
            if len(waiting) >= most:
                break
        if not waiting:
            return
        done, _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(done[0]), ray.get(done[0])


def cpus(ray: Any) -> int:
    """Of the whole cluster."""
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def gpus(ray: Any) -> int:
    """Of the whole cluster."""
    return int(ray.cluster_resources().get("GPU", 0))


def unseen(paths: Iterable[Path]) -> str:
    """Why this node cannot do it: the first path that it does not see; "" where it sees all."""
    for path in paths:
        if not path.exists():
            return f"The node {socket.gethostname()} does not see {path}. Mount it there under the same path."
    return ""


def here(why: object) -> str:
    """What went wrong, and on which node: the same path may be an empty mount point there."""
    return f"On the node {socket.gethostname()}: {why}"


def _environment() -> dict[str, Any]:
    """What processes of the nodes see differently: this package where it runs from a checkout, and the settings."""
    ours = {key: value for key, value in os.environ.items() if key.startswith("SUBRANDOM_")}
    path = child_environment().get("PYTHONPATH")
    return {"env_vars": {**OFFLINE, **ours, **({"PYTHONPATH": path} if path else {})}}
