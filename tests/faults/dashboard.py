"""Random faults of the whole dashboard while it is asked for pages: SIGSTOP, a cap on memory, a full disk.

    python -m tests.faults.dashboard [--each 50] [--seed 16] [--seconds 150]

What has to hold: within ten seconds of the fault's end the process answers, its status is whole, and it counts every
record that was there. What is asked during a fault may fail. kill -9 and the jobs: servers.py. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path

from tests.faults.real_server import RealServer, served
from tests.faults.small_disk import fill, make_room, small_disk
from tests.faults.workers import FAULTS, FULL_DISK, NEXT_SECONDS, cap


def get(server: RealServer, path: str, seconds: float = 5.0) -> bytes:
    """The body of an answer 200; OSError for every other one, and for none."""
    with urllib.request.urlopen(f"{server.url}{path}", timeout=seconds) as answer:
        return bytes(answer.read())


def whole(server: RealServer) -> bool:
    """Whether it answers as ever."""
    with suppress(OSError, ValueError):
        status = json.loads(get(server, "/status.json"))
        return get(server, "/healthz") != b"" and b"<html" in get(server, "/") and bool(status["workers"][0]["pid"])
    return False


def once(server: RealServer, fault: str, evidence: Path, rng: random.Random) -> float | None:
    """Seconds from the fault's end until it answers as ever; None if it does not within ten."""
    if fault == FULL_DISK:
        fill(evidence)
    undo = {"memory cap": lambda: cap(server.pid, 1 << 18), FULL_DISK: lambda: lambda: make_room(evidence)}
    end_fault = undo.get(fault, lambda: FAULTS[fault](server.pid))()
    until = time.monotonic() + rng.random()
    while time.monotonic() < until:
        with suppress(OSError, ValueError):
            get(server, rng.choice(("/", "/healthz", "/status.json", "/r/0123456789abcdef")), 0.3)
    end_fault()
    ended = time.monotonic()
    while time.monotonic() < ended + NEXT_SECONDS:
        if whole(server):
            return time.monotonic() - ended
        time.sleep(0.05)
    return None


def main() -> int:
    """All rounds on one server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin no round after these")
    options = parser.parse_args()
    rng, counts, waits = random.Random(options.seed), Counter[str](), []
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as name:
        evidence = Path(name) / "evidence"
        with small_disk(evidence, 64) as small, served(Path(name), SUBRANDOM_STATUS="1") as server:
            order = [f for f in ("SIGSTOP", "memory cap", *([FULL_DISK] if small else [])) for _ in range(options.each)]
            rng.shuffle(order)
            end = time.monotonic() + options.seconds
            for fault in order:
                if time.monotonic() < end:
                    took = once(server, fault, evidence, rng)
                    counts[f"{fault}: {'answers' if took is not None else 'DOES NOT ANSWER'}"] += 1
                    waits.append(took or NEXT_SECONDS)
            errors = server.log.read_text(errors="replace").count("Traceback")
    for what, number in sorted(counts.items()):
        print(f"{number:6} {what}")
    waits.sort()
    print(f"answers after {waits[len(waits) // 2]:.2f} s (most {waits[-1]:.2f}); {errors} tracebacks in its log")
    return int(any("NOT" in what for what in counts))


if __name__ == "__main__":
    sys.exit(main())
