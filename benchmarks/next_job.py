"""How soon the next job begins after a worker was killed, with and without one in reserve, and what that one takes.

    python -m benchmarks.next_job [--kills 10] [--gap 10]

gap: seconds from one kill to the next; the second of two that come at once finds the reserve still starting.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.job_queue import request
from diag.case import Window
from diag.jobs.queue import JobQueue
from diag.jobs.slots import slots


def began(queue: JobQueue, stamp: str) -> float:
    """Seconds from asking for a job until a worker has begun it; returns when it is finished."""
    asked, first = time.monotonic(), 0.0
    id = queue.submit(request("healthy", Window(1, 2, 64), stamp)).id
    while True:
        job = queue.get(id)
        assert job is not None and job.state != "failed", job
        if not first and job.text not in ("Waiting", "Starting"):
            first = time.monotonic() - asked
        if not job.active:
            return first
        time.sleep(0.005)


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--gap", type=float, default=10.0)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"SUBRANDOM_EVIDENCE": folder, "SUBRANDOM_CACHE": str(Path(folder) / "cache")}
        for spare, kills in ((True, options.kills), (False, min(3, options.kills))):
            queue = JobQueue(slots(1), spare=spare)
            began(queue, "first")
            waits: list[float] = []
            for number in range(kills):
                time.sleep(options.gap)
                workers = queue.workers()
                os.kill(workers[0]["pid"], signal.SIGKILL)
                waits.append(began(queue, str(number)))
                reserve = [(w["ready"], w["resident_bytes"]) for w in workers[1:]]
                print(f"  {waits[-1]:.2f} s; in reserve (ready, bytes): {reserve}", flush=True)
            queue.close()
            middle, most = statistics.median(waits), max(waits)
            print(f"{'with' if spare else 'without'} a spare: {middle:.2f} s (most {most:.2f}, n = {len(waits)})")
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
