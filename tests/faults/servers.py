"""Random faults of the server's queue, one after the other: kill -9, SIGSTOP, a cap on memory, a full disk.

    python -m tests.faults.servers [--each 50] [--seed 16] [--fault "kill -9"] [--seconds 150]

What has to hold: a job that was asked for ends with a record that can be read, or with a reason, in this server or in
the next one; a worker ends with its server within five seconds. Not collected by pytest.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.faults.small_disk import fill, make_room, small_disk
from tests.faults.workers import FAULTS, FULL_DISK, asked, cap, readable, turns

MOST_SECONDS = 120.0
_ENDED = re.compile(r"(done|failed|cancelled) ([0-9a-f]{16}) (.*)")


class Server:
    """One process of queue_server.py, and what it said."""

    def __init__(self, evidence: Path) -> None:
        command = [sys.executable, "-m", "tests.faults.queue_server", str(evidence)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.asked: set[str] = set()
        self.refused: set[str] = set()
        self.began: dict[str, float] = {}
        self.ended: dict[str, tuple[str, str]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, stamp: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(stamp + "\n")
        self.process.stdin.flush()

    def until(self, ids: set[str], seconds: float = MOST_SECONDS) -> bool:
        """Whether all of them ended."""
        end = time.monotonic() + seconds
        while not ids <= set(self.ended) and time.monotonic() < end:
            time.sleep(0.05)
        return ids <= set(self.ended)

    def answered(self, count: int) -> None:
        """Wait until so many were acknowledged or refused."""
        end = time.monotonic() + MOST_SECONDS
        while len(self.asked) + len(self.refused) < count and time.monotonic() < end:
            time.sleep(0.02)

    def in_a_job(self, ids: set[str]) -> str | None:
        """Wait until a worker has one of them; None where all ended before that was seen."""
        end = time.monotonic() + MOST_SECONDS
        while time.monotonic() < end and not ids <= set(self.ended):
            if busy := [id for id in ids if id in self.began and id not in self.ended]:
                return busy[0]
            time.sleep(0.005)
        return None

    def children(self, pid: int | None = None) -> list[int]:
        """Its processes: the worker, the one in reserve, and what was forked from that."""
        pid = pid or self.process.pid
        found: list[int] = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *self.children(child)]
        return found

    def kill(self) -> None:
        """And hear what it still said."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("asked "):
                self.asked.add(line.split()[1])
            elif line.startswith("refused "):
                self.refused.add(line.split()[1])
            elif line.startswith("began "):
                self.began[line.split()[1]] = time.monotonic()
            elif match := _ENDED.match(line):
                self.ended[match[2]] = (match[1], match[3].strip())


class Rounds:
    """One server at a time over one evidence folder."""

    def __init__(self, evidence: Path, seed: int) -> None:
        self.evidence, self.rng = evidence, random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self.records: set[str] = set()
        self.open: set[str] = set()  # acknowledged, and not said to be ended yet
        self.settled: set[str] = set()
        self.number = 0
        self.server = Server(evidence)
        self.ask(1)
        hit = self.server.in_a_job(self.open)
        assert hit is not None and self.server.until({hit})
        self.settle("before any fault")
        self.ask(1)
        hit = self.server.in_a_job(self.open)
        self.finish("before any fault")
        self.takes = time.monotonic() - self.server.began[str(hit)]

    def ask(self, count: int) -> None:
        before = len(self.server.asked) + len(self.server.refused)
        for _ in range(count):
            self.number += 1
            self.server.ask(str(self.number))
        self.server.answered(before + count)
        if len(self.server.asked) + len(self.server.refused) < before + count:
            self.violations.append(f"round {self.number}: the server answered nothing within {MOST_SECONDS:.0f} s")
        self.open |= self.server.asked - self.settled

    def settle(self, fault: str) -> None:
        """What the server said so far."""
        for id, (state, text) in self.server.ended.items():
            if id not in self.open:
                continue
            self.open.discard(id)
            self.settled.add(id)
            in_memory = text.startswith("in memory ")
            self.counts[f"{fault}: {state}{', record in memory first' if in_memory else ''}"] += 1
            if state == "done":
                self.records.add(text.removeprefix("in memory "))
                if not in_memory and not readable(self.evidence, text):
                    self.violations.append(f"{fault}: {text} was acknowledged and is not there")
            elif not text:
                self.violations.append(f"{fault}: {state} without a reason")

    def finish(self, fault: str) -> None:
        """Everything that was acknowledged ends."""
        if not self.server.until(self.open):
            self.violations.append(f"{fault}: {sorted(self.open - set(self.server.ended))} never ended")
        self.settle(fault)
        self.open.clear()

    def amid(self, fault: str) -> None:
        """Return at a random moment of a job."""
        hit = None
        while hit is None:
            self.ask(2)
            if (hit := self.server.in_a_job(self.open)) is None:
                self.settle("before a fault")
        time.sleep(self.rng.random() * self.takes)
        self.counts[f"{fault}: {'after' if hit in self.server.ended else 'in'} a job"] += 1

    def kill(self) -> None:
        """At a random moment of a job; the next server has what this one leaves."""
        fault = "kill -9"
        self.amid(fault)
        children = self.server.children()
        self.server.kill()
        killed = time.monotonic()
        self.settle(fault)
        self.counts[f"{fault}: taken over by the next server"] += len(self.open)
        while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < killed + 5:
            time.sleep(0.02)
        outlive = [pid for pid in children if Path(f"/proc/{pid}").exists()]
        self.violations += [f"{fault}: the worker {pid} outlives its server" for pid in outlive]
        self.server = Server(self.evidence)

    def pause(self, fault: str) -> None:
        """A fault that ends, of a server that goes on."""
        self.amid(fault)
        pid = self.server.process.pid
        if fault == FULL_DISK:
            fill(self.evidence)
            time.sleep(self.rng.random())
            make_room(self.evidence)
        else:
            undo = cap(pid, 1 << 20) if fault == "memory cap" else FAULTS[fault](pid)
            time.sleep(self.rng.random())
            undo()
        self.finish(fault)
        if self.server.process.poll() is not None:
            self.violations.append(f"{fault}: the server ended with code {self.server.process.returncode}")
            self.server = Server(self.evidence)

    def once(self, fault: str) -> None:
        self.counts[f"{fault}: rounds"] += 1
        self.kill() if fault == "kill -9" else self.pause(fault)
        print(f"{fault}: {dict(self.counts)} {self.violations}", flush=True)


def main() -> int:
    """The rounds, then what was acknowledged."""
    options = asked(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        evidence = Path(folder) / "evidence"
        os.environ |= {"SUBRANDOM_EVIDENCE": str(evidence), "SUBRANDOM_CACHE": str(Path(folder) / "cache")}
        with small_disk(evidence, 64) as small:
            rounds = Rounds(evidence, options.seed)
            faults = [*FAULTS, *([FULL_DISK] if small else [])]
            for name in turns(options, faults, rounds.rng):
                rounds.once(name)
            rounds.finish("the last server")
            time.sleep(6)  # records that were in memory have been written by now
            lost = [id for id in rounds.records if not readable(evidence, id)]
            rounds.violations += [f"{id} was acknowledged and is lost" for id in lost]
            rounds.server.kill()
    for name, number in sorted(rounds.counts.items()):
        print(f"{number:6} {name}")
    print(f"{len(rounds.records)} records acknowledged")
    print(f"{len(rounds.violations)} violations", *rounds.violations[:20], sep="\n")
    return 1 if rounds.violations else 0


if __name__ == "__main__":
    sys.exit(main())
