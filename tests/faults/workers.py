"""Random faults of the worker, one after the other: kill -9, SIGSTOP, a cap on memory, a full disk.

    python -m tests.faults.workers [--each 50] [--seed 16] [--fault "kill -9"] [--seconds 150]

Each round asks for a short job, does the fault at a random moment of it, and then asks for the next. What has to hold:
a job that is said to be done has its record, which can be read; one that is not says why; the next job begins within
ten seconds of the fault's end. A worker is in reserve, as the dashboard has one. Not collected by pytest: 200 rounds
take twenty minutes on two quiet cores. Those of the server: servers.py.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from diag.case import Case, Window
from diag.errors import InputError
from diag.evidence.records import read_record
from diag.jobs.job import Job
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from tests.faults.small_disk import fill, make_room, small_disk

NEXT_SECONDS = 10.0
MOST_SECONDS = 120.0
CAP = 64 << 20  # bytes above what the worker has that it may still take
WINDOW, SMALL = Window(8, 4, 128), Window(1, 1, 32)  # of the job that is hit, and of the next one


class Round:
    """The queue, what was acknowledged, and what went wrong."""

    def __init__(self, evidence: Path, seed: int) -> None:
        self.evidence, self.rng = evidence, random.Random(seed)
        self.queue = JobQueue(spare=True)
        self.queue.warm()
        self.number = 0
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.acknowledged: set[str] = set()
        self.waits: list[float] = []
        for _ in range(2):  # the first one counts the shard and loads the model
            id = self.ask()
            self.until(id, begun)
            first = time.time()
            self.takes = self.until(id, lambda job: not job.active).finished - first

    def ask(self, window: Window = WINDOW) -> str:
        self.number += 1
        case = Case("demo/shards/stdlib", "demo/checkpoints/healthy", window=window, device="cpu")
        return self.queue.submit(JobRequest("measure", case, stamp=str(self.number))).id

    def until(self, id: str, true: Callable[[Job], bool], seconds: float = MOST_SECONDS) -> Job:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.queue.get(id)
            assert job is not None
            if true(job):
                return job
            time.sleep(0.01)
        self.violations.append(f"{id} is still {job.state}: {job.text}")
        self.queue.cancel(id)
        return job

    def ended(self, job: Job, fault: str) -> None:
        """Done with a record that can be read, or a reason."""
        self.counts[f"{fault}: {job.state}{', record in memory' if job.state == 'done' and job.error else ''}"] += 1
        if job.state == "done" and not job.error:
            self.acknowledged.add(str(job.record))
            try:
                read_record(self.evidence, str(job.record))
            except InputError as error:
                self.violations.append(f"{fault}: acknowledged and not there: {error}")
        elif job.state != "done" and not job.error:
            self.violations.append(f"{fault}: {job.state} without a reason")

    def pid(self) -> int | None:
        worker = self.queue.seats[0].worker
        return worker.pid if worker and worker.running() else None

    def once(self, fault: str, do: Callable[[int], Callable[[], None]]) -> None:
        """One fault at a random moment of a job, and the next job after it. do: of a worker's pid; what it gives ends
        the fault."""
        id = self.ask()
        self.until(id, begun)
        time.sleep(self.rng.random() * self.takes)
        job = self.queue.get(id)
        self.counts[f"{fault}: {'in' if job and job.active else 'after'} a job"] += 1
        pid = self.pid()
        undo = do(pid) if pid else lambda: None
        if fault == "SIGSTOP":  # a person who sees it cancels
            time.sleep(self.rng.random())
            if self.rng.random() < 0.5:
                self.queue.cancel(id)
                self.until(id, lambda job: not job.active, 30)
            undo()
        self.ended(self.until(id, lambda job: not job.active), fault)
        undo()
        began = time.monotonic()
        following = self.ask(SMALL)
        self.until(following, begun)
        self.waits.append(time.monotonic() - began)
        self.ended(self.until(following, lambda job: not job.active), f"the job after {fault}")
        print(
            f"{fault}: the next job began after {self.waits[-1]:.1f} s; {dict(self.counts)} {self.violations}",
            flush=True,
        )


def begun(job: Job) -> bool:
    """Whether a worker has it, or had it."""
    return job.text not in ("Waiting", "Starting") or not job.active


def kill(pid: int) -> Callable[[], None]:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)
    return lambda: None


def stop(pid: int) -> Callable[[], None]:
    """SIGSTOP, until it is let go."""
    os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return

    return go_on


def cap(pid: int, above: int = CAP) -> Callable[[], None]:
    """No more memory than it has and 64 MiB, so that its next allocations fail."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (pages * resource.getpagesize() + above, before[1]))

    def lift() -> None:
        try:
            resource.prlimit(pid, resource.RLIMIT_AS, before)
        except ProcessLookupError:
            return

    return lift


def full(evidence: Path) -> Callable[[int], Callable[[], None]]:
    """No room where records go."""

    def fill_it(pid: int) -> Callable[[], None]:
        fill(evidence)
        return lambda: make_room(evidence)

    return fill_it


FAULTS: dict[str, Callable[[int], Callable[[], None]]] = {"kill -9": kill, "SIGSTOP": stop, "memory cap": cap}
FULL_DISK = "full disk"


def readable(evidence: Path, id: str) -> bool:
    """Whether the record is there."""
    try:
        read_record(evidence, id)
    except InputError:
        return False
    return True


def asked(description: str) -> argparse.Namespace:
    """What the command line asks for: which faults, how often, from which seed, for how long."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fault", choices=(*FAULTS, FULL_DISK), action="append", help="only these")
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin no round after these")
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    return options


def turns(options: argparse.Namespace, faults: Sequence[str], rng: random.Random) -> Iterator[str]:
    """The faults in a random order, until their time is over."""
    order = [name for name in faults if name in (options.fault or faults) for _ in range(options.each)]
    rng.shuffle(order)
    end = time.monotonic() + options.seconds
    for name in order:
        if time.monotonic() < end:
            yield name


def main() -> int:
    """The rounds, then what was acknowledged."""
    options = asked(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        evidence = Path(folder) / "evidence"
        os.environ |= {"SUBRANDOM_EVIDENCE": str(evidence), "SUBRANDOM_CACHE": str(Path(folder) / "cache")}
        with small_disk(evidence, 64) as small:
            rounds = Round(evidence, options.seed)
            faults = {**FAULTS, **({FULL_DISK: full(evidence)} if small else {})}
            for name in turns(options, list(faults), rounds.rng):
                rounds.once(name, faults[name])
            rounds.queue.unwritten.write()
            lost = [id for id in rounds.acknowledged if not readable(evidence, id)]
            rounds.violations += [f"{id} was acknowledged and is lost" for id in lost]
            rounds.queue.close()
    for name, number in sorted(rounds.counts.items()):
        print(f"{number:6} {name}")
    waits = sorted(rounds.waits)
    late = sum(seconds > NEXT_SECONDS for seconds in waits)
    print(f"the next job began after {waits[len(waits) // 2]:.1f} s (most {waits[-1]:.1f}; {late} over 10 s)")
    print(f"{len(rounds.violations)} violations", *rounds.violations[:20], sep="\n")
    return 1 if rounds.violations else 0


if __name__ == "__main__":
    sys.exit(main())
