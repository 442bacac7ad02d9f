"""The queue with warm workers: eight cases by one and by two of them, and how soon a job on a loaded model is measured.

    python -m benchmarks.job_queue [--cases 8] [--window 2x4x128]

Two workers of the CPU divide its cores: on two cores they win what one worker leaves idle, and no more.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from diag.case import Case, Window
from diag.demo.build import DEFAULT_DIR
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from diag.jobs.slots import slots

SHARD = "demo/shards/stdlib"


def request(name: str, window: Window, stamp: str) -> JobRequest:
    """A measurement of one of the demo's checkpoints."""
    return JobRequest("measure", Case(SHARD, f"demo/checkpoints/{name}", window=window, device="cpu"), stamp=stamp)


def wait(queue: JobQueue, id: str) -> float:
    """Seconds from submitting until its model is being measured; returns when the job is finished."""
    measuring = 0.0
    while True:
        job = queue.get(id)
        assert job is not None
        if job.text.startswith("Measuring") and not measuring:
            measuring = time.time() - job.submitted
        if not job.active:
            assert job.state == "done", job.error
            return measuring
        time.sleep(0.002)


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--window", default="2x4x128")
    options = parser.parse_args()
    window = Window.parse(options.window)
    names = sorted(path.name for path in (DEFAULT_DIR / "checkpoints").iterdir() if path.is_dir())
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SUBRANDOM_EVIDENCE": folder, "SUBRANDOM_CACHE": str(Path(folder) / "cache")}
        for workers in (1, 2):
            queue = JobQueue(slots(workers))
            queue.warm()
            for name in names:  # each worker has torch, and most models
                wait(queue, queue.submit(request(name, Window(1, 1, 32), "first"), name).id)
            began = time.perf_counter()
            asked = [request(names[i % len(names)], window, f"case {i}") for i in range(options.cases)]
            ids = [queue.submit(each, str(i)).id for i, each in enumerate(asked)]
            for id in ids:
                wait(queue, id)
            print(f"{workers} worker(s): {options.cases} cases in {time.perf_counter() - began:.1f} s", flush=True)
            if workers == 1:
                starts = [
                    wait(queue, queue.submit(replace(request(names[0], window, f"again {i}"))).id) for i in range(21)
                ][1:]
                middle, most = statistics.median(starts), max(starts)
                print(f"a job on a loaded model is measured after {middle:.2f} s (most {most:.2f}, n = {len(starts)})")
            queue.close()


if __name__ == "__main__":
    main()
