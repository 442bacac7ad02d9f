"""The state of this server as numbers: once for the page, for /status.json, and for a scraper at /metrics."""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from collections import Counter
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import diag
from diag.evidence.index import index_path
from diag.evidence.records import records_dir
from diag.jobs.memory import resident_bytes
from diag.jobs.queue import JobQueue
from diag.model.estimate import free_memory, has_gpu
from diag.settings import Settings

STARTED = time.time()
LIBRARIES = ("torch", "transformers", "streamlit", "duckdb", "numpy", "ray")
_SMI = ["nvidia-smi", "--query-gpu=name,memory.used,memory.total,utilization.gpu", "--format=csv,noheader,nounits"]


def figures(queue: JobQueue, settings: Settings, problem: str = "") -> dict[str, Any]:
    """All of it; bytes and seconds. problem: why the engine of the settings is not in use. Costs a look at each place
    on the disk, and 0.1 s where there is a GPU."""
    jobs = queue.all_jobs()
    states = Counter(job.state for job in jobs)
    return {
        "versions": _versions(),
        "uptime_seconds": time.time() - STARTED,
        "engine": {"name": settings.engine, "problem": problem},
        "workers": queue.workers(),
        "devices": _devices(),
        "queue": {
            **{state: states[state] for state in ("running", "queued", "done", "failed", "cancelled")},
            "people": len({owner for job in jobs if job.active for owner in job.owners}),
            "longest_wait_seconds": max((time.time() - j.submitted for j in jobs if j.state == "queued"), default=0.0),
            "unwritten_records": queue.unwritten.count(),
        },
        "memory": {"server_bytes": resident_bytes(), "free_bytes": free_memory()},
        "disk": [_disk(what, path) for what, path in _places(settings).items()],
        "records": sum(1 for _ in records_dir(settings.evidence_dir).glob("*.json")),
        "index_bytes": _size(index_path(settings)),
    }


def prometheus(state: dict[str, Any]) -> str:
    """The numbers in the text format of Prometheus (0.0.4), which OpenMetrics readers take too."""
    rows = [
        ("uptime_seconds", {}, state["uptime_seconds"]),
        ("records", {}, state["records"]),
        ("index_bytes", {}, state["index_bytes"]),
        *((f"memory_{name}", {}, value) for name, value in state["memory"].items() if value is not None),
        *((f"queue_{name}", {}, value) for name, value in state["queue"].items()),
        *(
            (f"worker_{name}", {"slot": worker["slot"]}, float(worker[name]))
            for worker in state["workers"]
            for name in ("ready", "busy", "silent_seconds", "resident_bytes", "model_bytes")
        ),
        *(
            (f"device_{name}", {"device": str(i)}, device[name])
            for i, device in enumerate(state["devices"])
            for name in ("used_bytes", "total_bytes", "busy_share")
        ),
        *(
            (f"disk_{name}", {"place": disk["place"]}, disk[name])
            for disk in state["disk"]
            for name in ("free_bytes", "total_bytes")
        ),
    ]
    lines, told = [], set()
    for name, labels, value in sorted(rows, key=lambda row: row[0]):
        if name not in told:
            told.add(name)
            lines.append(f"# TYPE subrandom_{name} gauge")
        inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
        lines.append(f"subrandom_{name}{'{' + inside + '}' if inside else ''} {value:g}")
    return "\n".join(lines) + "\n"


def _versions() -> dict[str, str]:
    found = {"subrandom": diag.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _devices() -> list[dict[str, Any]]:
    """The GPUs of this machine, as its driver's own tool tells them; none where it does not answer within 5 s."""
    if not has_gpu():
        return []
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        said = subprocess.run(_SMI, capture_output=True, text=True, timeout=5, check=True).stdout
        rows = [line.rsplit(", ", 3) for line in said.splitlines() if line.strip()]
        return [
            {"name": n, "used_bytes": int(u) << 20, "total_bytes": int(t) << 20, "busy_share": float(b) / 100}
            for n, u, t, b in rows
        ]
    return []


def _places(settings: Settings) -> dict[str, Path]:
    return {"evidence": settings.evidence_dir, "cache": settings.cache_dir}


def _disk(place: str, path: Path) -> dict[str, Any]:
    while not path.exists() and path != path.parent:
        path = path.parent
    usage = shutil.disk_usage(path)
    return {"place": place, "free_bytes": usage.free, "total_bytes": usage.total}


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
