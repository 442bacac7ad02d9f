"""Kill, stop, replace, truncate, fill, unmount, at random moments; afterwards every acknowledged record is checked.

    python -m tests.faults.loop [--minutes 30] [--seed 0]        `make faults`

Two lanes run all the time on the same files: the worker behind its queue, and `test` and `forward` as commands. A
third thread does the faults: 20 s of them, then 15 s of peace. A violation is: an acknowledged record that is not
there or not whole; a loss or unigram that is not that of the content whose fingerprint stands beside it; a record of
a run during which a file changed; a traceback, a crash by a signal that was not sent, a run that does not end. Where
this user may mount, disks of the loop's own are filled and taken away.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from diag.case import Case, Window
from diag.errors import InputError
from diag.evidence.records import records_dir
from diag.jobs.job import FINISHED, Job
from diag.jobs.protocol import JobRequest
from diag.jobs.queue import JobQueue
from diag.results.record import import_record
from tests.faults.loop_files import ROOT, WINDOW, Known, Place, can_mount

MOST_SECONDS = 180.0  # of one run, stops and a loaded machine included
CLOSE = 1e-4  # nats; the contents differ by more than a tenth
FAULTS, PEACE, GAP = 20.0, 15.0, 3.0  # seconds: of each phase, and from one fault to the next on average
INSIDE = "SUBRANDOM_FAULTS_INSIDE"


class Loop:
    """One run of the loop. acknowledged: records that somebody was told of. spans: (when the forward pass had begun,
    its record): no content may change from there to the time that the record states."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place, self.rng = place, random.Random(seed)
        self.queue = JobQueue()
        self.cli: subprocess.Popen[str] | None = None
        self.over = threading.Event()
        self.killed: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.acknowledged: set[str] = set()
        self.spans: list[tuple[float, str]] = []
        self.losses: list[tuple[float, float]] = []
        self.violations: list[str] = []

    # The lanes ----------------------------------------------------------------------------------------------------
    def worker_lane(self) -> None:
        """Jobs through the queue, one after the other."""
        case = Case("files/train.bin", "files/model", window=Window.parse(WINDOW), device="cpu")
        number = 0
        while not self.over.is_set():
            number += 1
            kind, ids = ("test", ("H4C",)) if number % 4 == 0 else ("measure", ())
            job = self.queue.submit(JobRequest(kind, case, ids, f"{number}"))  # type: ignore[arg-type]
            self._follow(job)

    def _follow(self, job: Job) -> None:
        measuring, end = 0.0, time.monotonic() + MOST_SECONDS
        while job.state not in FINISHED:
            if time.monotonic() > end:
                self.violations.append(f"a job does not end: {job.text}")
                return
            time.sleep(0.01)
            job = self.queue.get(job.id) or job
            if job.text.startswith("Measuring") and not measuring:
                measuring = time.time()
        if job.state == "done" and job.record:
            self.counts["worker: recorded" if not job.error else "worker: kept in memory"] += 1
            self.acknowledged.add(job.record)
            if measuring:
                self.spans.append((measuring, job.record))
            return
        self._refused("worker", job.error)
        time.sleep(0.2)  # what is refused at once would be asked for a thousand times

    def cli_lane(self) -> None:
        """`test` and `forward`, each a process of its own."""
        while not self.over.is_set():
            command = self.rng.choice(("test", "forward"))
            arguments = [command, *(["H4C"] if command == "test" else []), "--json", "--device", "cpu"]
            for option, value in zip(("--batches", "--batch-size", "--seq-len"), WINDOW.split("x"), strict=True):
                arguments += [option, value]
            arguments += ["--checkpoint", str(self.place.root / "model"), "--shard", str(self.place.root / "train.bin")]
            small = command == "test" and not self.place.mounts and self.rng.random() < 0.2
            with subprocess.Popen(
                [sys.executable, "-m", "diag", *arguments],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=_no_large_files if small else None,  # noqa: PLW1509  nothing but a system call
            ) as self.cli:
                try:
                    out, said = self.cli.communicate(timeout=MOST_SECONDS)
                except subprocess.TimeoutExpired:
                    self.violations.append(f"`{command}` does not end")
                    self.cli.kill()
                    continue
            self._answered(command, self.cli, out, said)

    def _answered(self, command: str, process: subprocess.Popen[str], out: str, said: str) -> None:
        if process.returncode == -signal.SIGKILL and process.pid in self.killed:
            self.counts[f"{command}: killed"] += 1
            return
        if process.returncode not in (0, 2) or "Traceback" in said:
            self.violations.append(f"`{command}` ended with {process.returncode}: {said[-300:]}")
            return
        if process.returncode == 2:
            if out:  # a record that was not written: the result is there, and is held to the same
                content = json.loads(out)["record"]["content"]
                self.counts["test: printed"] += 1
                path = records_dir(self.place.base) / f"{content['id']}.json"
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps(content))
            else:
                self._refused(command, said)
            return
        value = json.loads(out)
        self.counts[f"{command}: answered"] += 1
        marks = value.get("ruler", value)
        self.losses.append((value["loss_nats"], marks["unigram_nats"]))
        if command == "test":
            self.acknowledged.add(value["record"]["id"])

    def _refused(self, who: str, said: str) -> None:
        known = {
            "changed while": "a file changed",
            "cannot be written": "no room",
            "ended by signal 9": "killed",
            "failed unexpectedly": "unforeseen",
        }
        self.counts[f"{who}: {next((word for part, word in known.items() if part in said), 'refused')}"] += 1
        if "failed unexpectedly" in said or ("ended by signal" in said and "signal 9" not in said):
            self.violations.append(f"{who}: {said[:300]}")

    # The faults ---------------------------------------------------------------------------------------------------
    def attack(self) -> None:
        """Something every three seconds, on average, while it is no peace."""
        began, rng = time.monotonic(), self.rng
        faults = (
            self.place.replace,
            self.place.truncate,
            self.place.fill_disk,
            self.place.unmount,
            self.kill,
            self.stop,
        )
        while not self.over.is_set():
            if (time.monotonic() - began) % (FAULTS + PEACE) > FAULTS:
                self.place.restore()
                time.sleep(PEACE / 2)
                continue
            fault = rng.choices(faults, (4, 2, 2, 1, 1, 2))[0]
            self.counts[f"fault: {fault.__name__}"] += 1
            fault(rng)
            time.sleep(rng.expovariate(1 / GAP))
        self.place.restore()

    def _victim(self, rng: random.Random) -> int | None:
        worker = self.queue.seats[0].worker
        cli = self.cli.pid if self.cli is not None and self.cli.poll() is None else None
        return rng.choice((cli, worker.pid if worker and worker.running() else None))

    def kill(self, rng: random.Random) -> None:
        """kill -9 of the command, or of the worker."""
        if pid := self._victim(rng):
            self.killed.add(pid)
            os.kill(pid, signal.SIGKILL)

    def stop(self, rng: random.Random) -> None:
        """A pause of the command, or of the worker, during which a file may change."""
        if pid := self._victim(rng):
            os.kill(pid, signal.SIGSTOP)
            try:
                if rng.random() < 0.5:
                    self.place.replace(rng)
                time.sleep(2 * rng.random())
            finally:
                os.kill(pid, signal.SIGCONT)

    # Afterwards ---------------------------------------------------------------------------------------------------
    def check(self, known: list[Known]) -> None:
        """Every acknowledged record is there, and everything that is there is true."""
        self.queue.unwritten.write()
        folder = records_dir(self.place.evidence)
        there = {path.stem: path for path in folder.glob("*.json")}
        self.counts["records"] = len(there)
        self.violations += [f"{id} was acknowledged and is lost" for id in sorted(self.acknowledged - there.keys())]
        created: dict[
            str, float
        ] = {}  # in whole seconds, rounded down: after the files were compared for the last time
        printed = list(records_dir(self.place.base).glob("*.json"))
        for path in (*there.values(), *printed):
            try:
                record = import_record(path.read_bytes(), path.name)
            except InputError as error:
                self.violations.append(str(error))
                continue
            created[path.stem] = datetime.fromisoformat(record.created).timestamp()
            found = [record.inputs[role]["fingerprint"] for role in ("checkpoint", "shard")]
            loss, unigram = record.loss.nats or 0.0, record.loss.ruler.unigram_nats or 0.0
            if not any([k.checkpoint, k.shard] == found and _close(k, loss, unigram) for k in known):
                self.violations.append(f"{path.stem} attests what is not so: {loss} nats, unigram {unigram}")
        for loss, unigram in self.losses:
            if not any(_close(k, loss, unigram) for k in known):
                self.violations.append(f"a loss of no content: {loss} nats, unigram {unigram}")
        for began, id in self.spans:
            ended = created.get(id, 0.0)
            within = [name for moment, name in self.place.changes if began < moment < ended]
            if within:
                self.violations.append(f"{id} was recorded although {within[0]} changed during the run")


def _close(known: Known, loss: float, unigram: float) -> bool:
    return abs(known.loss - loss) < CLOSE and abs(known.unigram - unigram) < 1e-9


def _no_large_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14))


def main() -> int:
    """Run it, print what happened, exit with 1 for a violation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if INSIDE not in os.environ and can_mount():  # the disks are seen by this process and its children only
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-m", sys.executable, "-m", "tests.faults.loop", *sys.argv[1:]])
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), mounts=INSIDE in os.environ)
        place.prepare()
        for name, path in (("ROOTS", place.root), ("EVIDENCE", place.evidence), ("CACHE", place.base / "cache")):
            os.environ[f"SUBRANDOM_{name}"] = str(path)
        known = place.known()
        place.changes.clear()
        loop = Loop(place, options.seed)
        lanes = [threading.Thread(target=run) for run in (loop.worker_lane, loop.cli_lane, loop.attack)]
        for lane in lanes:
            lane.start()
        loop.over.wait(60 * options.minutes)
        loop.over.set()
        for lane in lanes:
            lane.join()
        loop.check(known)
        loop.queue.close()
        for name, count in sorted(loop.counts.items()):
            print(f"{count:6} {name}")
        print(f"{len(loop.violations):6} violations", "" if place.mounts else "(nothing was mounted)")
        print("\n".join(loop.violations[:40]))
        if place.mounts:
            for mounted in (place.root, place.evidence, place.root.parent, place.base / "disk"):
                subprocess.run(["umount", "-l", str(mounted)], check=False)
    return 1 if loop.violations else 0


if __name__ == "__main__":
    sys.exit(main())
