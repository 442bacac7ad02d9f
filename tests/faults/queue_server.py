"""The queue in a process of its own, as a server has it: told to ask for jobs, it says how each ended.

    python -m tests.faults.queue_server EVIDENCE

A line of stdin is the stamp of a measurement to ask for: "asked ID" when the queue has it, "refused STAMP" and why
where it has too many; "began ID" when a worker has it; then "done ID RECORD", or the state and the reason. Jobs of a
server that ended before are said in the same way.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from diag.case import Case, Window
from diag.errors import InputError
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from diag.jobs.waiting import WaitingJobs


def ask(queue: JobQueue) -> None:
    """Read until stdin ends."""
    for line in sys.stdin:
        case = Case("demo/shards/stdlib", "demo/checkpoints/healthy", window=Window(8, 4, 128), device="cpu")
        while True:
            try:
                print(f"asked {queue.submit(JobRequest('measure', case, stamp=line.strip())).id}", flush=True)
                break
            except InputError as refused:
                print(f"refused {line.strip()} {refused}", flush=True)
                break
            except MemoryError:  # this server has none for a while
                time.sleep(0.1)


def main() -> None:
    """For ever."""
    queue = JobQueue(spare=True, kept=WaitingJobs(Path(sys.argv[1])))
    queue.warm()
    threading.Thread(target=ask, args=(queue,), daemon=True).start()
    began, said = set[str](), set[str]()
    while True:
        time.sleep(0.02)
        try:
            for job in queue.all_jobs():
                if job.state == "running" and job.text not in ("Waiting", "Starting") and job.id not in began:
                    print(f"began {job.id}", flush=True)
                    began.add(job.id)
                if not job.active and job.id not in said:
                    memory = "in memory " if queue.unwritten.get(job.record) else ""
                    print(f"{job.state} {job.id} {memory}{job.record or job.error}", flush=True)
                    said.add(job.id)
        except MemoryError:
            continue


if __name__ == "__main__":
    main()
