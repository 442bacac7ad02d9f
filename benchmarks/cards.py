"""The pool on GPUs: cases side by side, warm starts, killed and poisoned workers, memory that runs out. JSON.

    python -m benchmarks.cards --out OUT [--only together kill memory poison]   # about eight minutes
    python -m benchmarks.cards --out OUT --cpu                                        # the same code, a tiny model

Needs torch, transformers, safetensors and numpy alone. The worker is the project's own; the model has the shape of
Qwen2.5-0.5B and random weights. Each part ends when its time is over, and says how many rounds it had.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cards_worker import POISON, PoisonedWorker
from benchmarks.gpu import HALF_B, TINY, written
from diag.case import Case, Window
from diag.catalogue import scan
from diag.evidence.records import read_record
from diag.jobs.job import Job
from diag.jobs.protocol import JobKind, JobRequest
from diag.jobs.queue import JobQueue
from diag.jobs.slots import slots, visible_gpus
from diag.settings import load_settings

GB = 1e9


@dataclass
class Setup:
    """What every part has: names of the catalogue, sizes, and where rows go."""

    out: Path
    cpu: bool
    shard: str
    checkpoint: str
    found: dict[str, Any] = field(default_factory=dict)
    number: int = 0

    def request(self, kind: JobKind, window: str, gate: float = 0.0) -> JobRequest:
        """A case that nobody has asked yet: its gate is its own."""
        self.number += 1
        case = Case(self.shard, self.checkpoint, window=Window.parse(window), gate_below=gate or 1000.0 + self.number)
        return JobRequest(kind, case)

    def say(self, name: str, row: dict[str, Any]) -> None:
        """Kept at once: the run may be ended."""
        self.found.setdefault(name, []).append(row)
        print(name, json.dumps(row), flush=True)
        (self.out / "cards.json").write_text(json.dumps(self.found, indent=1) + "\n")


def until(queue: JobQueue, id: str, true: Callable[[Job], bool], seconds: float = 180.0) -> Job:
    """The job once `true`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = queue.get(id)
        assert job is not None
        if true(job):
            return job
        time.sleep(0.002)
    raise SystemExit(f"{id} is still {job.state} after {seconds:.0f} s: {job.text}")


def over(job: Job) -> bool:
    return not job.active


def begun(job: Job) -> bool:
    return job.text not in ("Waiting", "Starting") or not job.active


def measuring(job: Job) -> bool:
    return job.text.startswith("Measuring") or not job.active


def done(queue: JobQueue, requests: list[JobRequest]) -> float:
    """Seconds for all of them, of one person each."""
    began = time.perf_counter()
    ids = [queue.submit(request, str(i)).id for i, request in enumerate(requests)]
    for id in ids:
        job = until(queue, id, over, 400)
        assert job.state == "done", job.error
    return time.perf_counter() - began


def together(setup: Setup, seconds: float) -> None:
    """Eight cases by 1, 2 and 4 warm workers, and how soon a job on a loaded model is measured."""
    cards = len(visible_gpus()) or 2
    kinds: tuple[tuple[JobKind, str], ...] = (("measure", "16x4x512"), ("test", "2x4x128"))
    if setup.cpu:
        kinds = (("measure", "4x4x128"),)
    counts = [n for n in (1, 2, 4) if n <= cards]
    for kind, window in kinds:
        medians: dict[int, float] = {}
        for count in counts:
            queue = JobQueue(slots(count))
            queue.warm()
            warm = [done(queue, [setup.request(kind, window) for _ in range(count)]) for _ in range(2)]
            times: list[float] = []
            end = time.monotonic() + seconds / len(kinds) / len(counts)
            while len(times) < 3 or (time.monotonic() < end and len(times) < 5):
                times.append(done(queue, [setup.request(kind, window) for _ in range(8)]))
            medians[count] = statistics.median(times)
            ratio = medians[count] / medians[1]
            row = {"kind": kind, "window": window, "workers": count, "cases": 8, "seconds": times, "warming": warm}
            setup.say("together", row | {"median": medians[count], "of_one": ratio})
            if count == 1 and kind == "measure":
                again(setup, queue, window)
            queue.close()


def again(setup: Setup, queue: JobQueue, window: str) -> None:
    """From submitting until the loaded model is being measured."""
    starts = []
    for _ in range(24):
        job = until(queue, queue.submit(setup.request("measure", window)).id, measuring)
        starts.append(time.time() - job.submitted)
        until(queue, job.id, over)
    setup.say("again", {"seconds": starts, "median": statistics.median(starts), "most": max(starts), "n": len(starts)})


def on_cards() -> dict[int, list[tuple[str, int]]]:
    """pid → (card, MiB) of every process that nvidia-smi lists; {} without a card."""
    try:
        cards = _smi("--query-gpu=index,uuid")
        apps = _smi("--query-compute-apps=pid,gpu_uuid,used_memory")
    except (OSError, subprocess.CalledProcessError):
        return {}
    index = {uuid: number for number, uuid in cards}
    found: dict[int, list[tuple[str, int]]] = {}
    for pid, uuid, memory in apps:
        found.setdefault(int(pid), []).append((index[uuid], int(memory) if memory.isdecimal() else -1))
    return found


def _smi(query: str) -> list[list[str]]:
    said = subprocess.run(["nvidia-smi", query, "--format=csv,noheader,nounits"], capture_output=True, check=True)
    return [[part.strip() for part in line.split(",")] for line in said.stdout.decode().splitlines() if line.strip()]


def parent(pid: int) -> int:
    """Its parent's pid."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def kill(setup: Setup, seconds: float) -> None:
    """kill -9 of a worker in the middle of its job while the other cards work, and the next job: by a forked worker."""
    places = slots(min(2, len(visible_gpus()) or 2))
    queue = JobQueue(places, spare=True)
    queue.warm()
    long = "64x16x256" if setup.cpu else "256x8x512"
    done(queue, [setup.request("measure", "1x2x64") for _ in places])
    end = time.monotonic() + seconds
    for number in range(24):
        if time.monotonic() > end:
            break
        quick = number % 2 == 1  # whatever the reserve does
        while not quick and not any(w["slot"] == "spare" and w["ready"] for w in queue.workers()):
            time.sleep(0.05)
        spare = next((w for w in queue.workers() if w["slot"] == "spare"), None)
        busy = [queue.submit(setup.request("measure", long), str(i)).id for i in range(len(places))]
        jobs = [until(queue, id, lambda job: measuring(job) or not job.active) for id in busy]
        hit = jobs[number // 2 % len(places)]
        seat = next((s for s in queue.seats if s.job == hit.id), None)
        if seat is None or seat.worker is None:
            continue  # it was over before
        os.kill(seat.worker.pid, signal.SIGKILL)
        asked = time.monotonic()
        next_id = queue.submit(setup.request("measure", "1x2x64"), "next").id
        job = until(queue, next_id, begun)
        first = time.monotonic() - asked
        job = until(queue, next_id, over)
        row = {"ready_reserve": bool(spare and spare["ready"]), "begun_after": first, "state": job.state}
        row |= {"done_after": time.monotonic() - asked, "failed_says": (queue.get(hit.id) or hit).error}
        row |= {"slot": seat.slot.name, "ran_in": job.slot, "cards": on_cards().get(seat.worker.pid)}
        others = {w["pid"]: w["slot"] for w in queue.workers()}
        row |= {"spare_resident": spare and spare["resident_bytes"]}
        row |= {"on_cards": {others[pid]: where for pid, where in on_cards().items() if pid in others}}
        row |= {"forked": bool(spare) and parent(seat.worker.pid) == (spare or {}).get("pid")}
        setup.say("kill", row)
        for id in busy:
            queue.cancel(id)
        for id in busy:
            until(queue, id, over)
    queue.close()


class Neighbour:
    """Another program on the card: takes all of its memory but so many bytes, once or whenever some is free."""

    def __init__(self, leave: float) -> None:
        self.leave, self.held, self.on = int(leave), [], False
        torch.cuda.init()

    def take(self) -> None:
        while (free := torch.cuda.mem_get_info()[0] - self.leave) > 32 << 20:
            try:
                self.held.append(torch.empty(min(free, 8 << 30), dtype=torch.uint8, device="cuda"))
            except torch.OutOfMemoryError:
                return

    def keep_taking(self) -> None:
        self.on = True

        def work() -> None:
            while self.on:
                self.take()
                time.sleep(0.002)

        threading.Thread(target=work, daemon=True).start()

    def let_go(self) -> None:
        self.on = False
        time.sleep(0.1)
        self.held.clear()
        torch.cuda.empty_cache()


def memory(setup: Setup, seconds: float) -> None:
    """The same case with less and less of the card: what the record says was done, and the loss."""
    window, end = ("1x2x64" if setup.cpu else "8x4x512"), time.monotonic() + seconds
    plan: list[tuple[float, str]] = [(1e12, "")] if setup.cpu else [(1e12, ""), (2.4 * GB, "before")]
    if not setup.cpu:
        plan += [(1.6 * GB, "before"), (1.0 * GB, "before"), (0.3 * GB, "before")]
        plan += [(leave * GB, when) for when in ("Loading", "Measuring") for leave in (0.7, 0.05)]
    first = 0.0
    for leave, when in plan:
        if time.monotonic() > end:
            break
        queue = JobQueue(slots(1))
        queue.warm()
        while not queue.workers()[0]["ready"]:
            time.sleep(0.05)
        other = Neighbour(leave) if when else None
        if other and when == "before":
            other.take()
        started = time.monotonic()
        id = queue.submit(setup.request("measure", window)).id
        if other and when != "before":
            until(queue, id, lambda job, when=when: job.text.startswith(when) or not job.active)
            other.keep_taking()
        job = until(queue, id, over)
        row: dict[str, Any] = {"left_gb": leave / GB, "taken": when or "nothing", "state": job.state}
        row |= {"error": job.error, "seconds": time.monotonic() - started}
        if job.record:
            result = read_record(load_settings().evidence_dir, job.record).result
            first = first or result.measurement.loss_nats
            row |= {"loss": result.measurement.loss_nats, "off": result.measurement.loss_nats - first}
            row |= {"device": result.measurement.device, "dtype": result.measurement.dtype, "notes": result.notes}
        if other:
            other.let_go()
        setup.say("memory", row)
        queue.close()


def poison(setup: Setup, seconds: float) -> None:
    """A device-side assert in the middle of a job, and the next job."""
    queue = JobQueue(slots(1), PoisonedWorker, spare=True)
    done(queue, [setup.request("measure", "1x2x64")])
    end = time.monotonic() + seconds
    for _ in range(5):
        if time.monotonic() > end:
            break
        while not any(w["slot"] == "spare" and w["ready"] for w in queue.workers()):
            time.sleep(0.05)
        before = queue.workers()[0]["pid"]
        setup.number += 1
        bad = until(queue, queue.submit(setup.request("measure", "1x2x64", POISON + setup.number)).id, over)
        asked = time.monotonic()
        good = until(queue, queue.submit(setup.request("measure", "1x2x64")).id, begun)
        first = time.monotonic() - asked
        good = until(queue, good.id, over)
        row = {"state": bad.state, "says": bad.error, "next": good.state, "next_says": good.error}
        row |= {"begun_after": first, "another_worker": queue.workers()[0]["pid"] != before}
        setup.say("poison", row)
    queue.close()


PARTS: dict[str, tuple[Callable[[Setup, float], None], float]] = {
    "together": (together, 170.0),
    "kill": (kill, 150.0),
    "memory": (memory, 200.0),
    "poison": (poison, 60.0),
}


def main() -> None:
    """The parts, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cpu", action="store_true", help="a tiny model on workers of the CPU, to see that it runs")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, cards {visible_gpus()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        shape = TINY if options.cpu else HALF_B
        written(shape, work / "model", "cpu" if options.cpu else "cuda")
        ids = np.random.default_rng(0).zipf(1.2, 2_000_000) % shape["vocab_size"]
        (work / "shard").mkdir()
        (work / "shard" / "shard-00000.bin").write_bytes(ids.astype("<u4").tobytes())
        torch.cuda.empty_cache()
        os.environ |= {"SUBRANDOM_ROOTS": str(work), "SUBRANDOM_EVIDENCE": folder + "/evidence"}
        os.environ |= {"SUBRANDOM_CACHE": folder + "/cache", "SUBRANDOM_DEMO": folder + "/none"}
        names = {kind: next(e.id for e in scan(load_settings()).of(kind)) for kind in ("shard", "checkpoint")}
        setup = Setup(options.out, options.cpu, names["shard"], names["checkpoint"])
        for name in options.only:
            run, seconds = PARTS[name]
            began = time.monotonic()
            run(setup, seconds)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
