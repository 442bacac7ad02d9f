"""What the index of evidence costs: ingest with facts, search, facts by key, conflicts, records; 100 killed ingests.

    python benchmarks/evidence.py [--files 5000] [--records 200] [--kills 0]

Files are made up, of the kinds that teams leave, 2.5 kB on average, the same on every run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "evidence")]

from diag.evidence.conflicts.table import conflicts  # noqa: E402
from diag.evidence.index import search, sync, sync_and_query  # noqa: E402
from diag.evidence.known_facts import Filter, facts  # noqa: E402
from diag.evidence.records import write_record  # noqa: E402

WORDS = [
    "loss",
    "corpus",
    "shard",
    "encoder",
    "tokenizer",
    "gate",
    "checkpoint",
    "attention",
    "bias",
    "rotary",
    "norm",
    "epoch",
    "run",
    "dispatch",
    "verdict",
]


def readme(rng: random.Random, i: int) -> str:
    """Sections, a table, a fence, prose."""
    rows = "".join(f"| {e} | {7 - e / 3 + rng.random() / 9:.4f} | {6 - e / 4:.4f} |\n" for e in range(8))
    text = " ".join(rng.choice(WORDS) for _ in range(150))
    return (
        f"# Run {i}\n\n- **Shards**: {i % 900}\n- val_loss = **{rng.random() * 9:.4f}** at epoch 3\n\n{text}.\n"
        f"\n| Epoch | train_loss | val_loss |\n|---|---|---|\n{rows}\n## Status\n\n| Gate | Status |\n|---|---|\n"
        + "".join(f"| GATE-{i}-{g} | {rng.choice(['GREEN', 'RED', '✅ DISCHARGED'])} |\n" for g in range(5))
        + f"\n```\n$ train --lr 3e-4 --seed {i}\n  LR max: 5.00e-5\n  Total tokens: {i + 1}.7M\n```\n\n{text}.\n"
    )


def log(rng: random.Random, i: int) -> str:
    """A training log."""
    return "".join(
        f"step {s}: loss {8 - s / 40 + rng.random() / 5:.4f}, lr {3e-4:.2e}, time {rng.random() * 90:.2f}ms, mfu 9.6%\n"
        for s in range(40)
    )


def qa(rng: random.Random, i: int) -> str:
    """Gates with states and numbers."""
    gates = [
        {
            "name": f"gate_{g}",
            "passed": rng.random() > 0.2,
            "value": rng.random() * 90,
            "duration_ms": rng.randint(0, 9999),
        }
        for g in range(14)
    ]
    return json.dumps({"model": f"/m/{i}.apr", "passed": True, "gates": gates, "total_ms": 12}, indent=2)


def metadata(rng: random.Random, i: int) -> str:
    """What a trainer writes beside a checkpoint."""
    return json.dumps(
        {"epoch": i % 9, "train_loss": rng.random() * 9, "val_loss": rng.random() * 9, "tokens_seen": i}, indent=2
    )


def table(rng: random.Random, i: int) -> str:
    """Columns without names."""
    return "".join(f"{e}\t{6 - e / 9:.5f}\t{6.5 - e / 9 + rng.random() / 9:.5f}\t{(e + 1) * 4096}\n" for e in range(30))


def state(rng: random.Random, i: int) -> str:
    """A report in YAML."""
    return "report: R\ntickets:\n" + "".join(
        f"  - {{id: T{t}, state: {rng.choice(['DONE', 'OPEN'])}}}\n" for t in range(20)
    )


KINDS: tuple[tuple[str, Callable[[random.Random, int], str]], ...] = (
    ("README.md", readme),
    ("train.log", log),
    ("qa.json", qa),
    ("epoch-000.metadata.json", metadata),
    ("loss.tsv", table),
    ("report.yaml", state),
)


def write(folder: Path, count: int) -> int:
    """So many files, six a folder; their bytes."""
    rng, size = random.Random(7), 0
    for i in range(count):
        name, make = KINDS[i % len(KINDS)]
        path = folder / f"step-{i // len(KINDS):05d}-2026-05-{1 + i // len(KINDS) % 28:02d}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = make(rng, i)
        size += len(text)
        path.write_text(text)
    return size


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(folder: Path, count: int) -> None:
    """The table of benchmarks/README.md."""
    evidence, db = folder / "evidence", folder / "index.duckdb"
    size = write(evidence, count)
    cpu = time.process_time()
    print(f"load {os.getloadavg()[0]:.1f}; {count} files, {size / 1e6:.1f} MB")
    seconds = timed(lambda: print(sync([evidence], db)))
    other = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = time.process_time() - cpu, other.ru_utime + other.ru_stime
    print(
        f"first ingest    {seconds:8.2f} s ({spent[0]:.1f} s of a processor here, {spent[1]:.1f} in the second process)"
    )
    print(f"nothing changed {timed(lambda: sync([evidence], db)):8.2f} s")
    (evidence / "step-00000-2026-05-01" / "README.md").write_text("# Changed\n\nval_loss = 3.25\n")
    print(f"one changed     {timed(lambda: sync([evidence], db)):8.2f} s")
    queries = ["19.80", "val_loss epoch 3", "GATE-6-2 RED", "encoder tokenizer gate", "FALSIFY-*-003", "discharged"]

    def asked(con: object) -> tuple[list[float], list[float]]:
        texts = [timed(lambda q=q: search(q, con)) for q in queries * 10]  # type: ignore[misc, arg-type]
        keys = [timed(lambda k=k: facts(con, Filter(key=k), 200)) for k in ("val_loss", "shards", "gate_3") * 10]  # type: ignore[misc, arg-type]
        return texts, keys

    texts, keys = sync_and_query([evidence], db, asked)[0]
    print(f"search          {statistics.median(texts) * 1e3:8.1f} ms median, {max(texts) * 1e3:.0f} at most")
    print(f"facts by key    {statistics.median(keys) * 1e3:8.1f} ms median, {max(keys) * 1e3:.0f} at most")
    print(f"conflicts       {timed(lambda: print(len(conflicts(db)))):8.2f} s")


def measure_records(folder: Path, count: int) -> None:
    """An index over records alone; each holds a diagnosis of the size of a full test."""
    from evidence_samples import diagnosis, record_of

    for i in range(count):
        write_record(folder / "e", record_of(diagnosis(seconds=float(i))))
    print(f"{count} records     {timed(lambda: sync([folder / 'e'], folder / 'r.duckdb')):8.2f} s")


def kill(folder: Path, times: int) -> None:
    """Interrupt ingests with SIGKILL; what an ingest that ended has brought must be there afterwards. Each ingest is a
    fork of this process, which never opens the index itself."""
    evidence, db, lost, rng = folder / "killed", folder / "killed.duckdb", 0, random.Random(3)
    acknowledged: set[str] = set()
    took: list[float] = []  # seconds of the ingests that ended
    for i in range(2 * times):  # every other one runs to its end, and finds what a kill left
        write(evidence / f"batch-{i:03d}", 30)
        (evidence / f"batch-{i:03d}" / "key.md").write_text(f"val_loss = {i}.25\n")
        began = time.perf_counter()
        limit = began + rng.uniform(0.05, 1) * statistics.median(took[-5:]) if i % 2 and took else math.inf
        child = Forked(lambda: str(sync([evidence], db)))
        if child.wait_until(limit) == 0:
            took.append(time.perf_counter() - began)
            acknowledged.add(f"{i}.25")
        asked = Forked(lambda: " ".join(fact.raw for fact in facts(db, Filter(key="val_loss"))))
        assert asked.wait_until(math.inf) == 0 or not acknowledged
        lost += len(acknowledged - set(asked.said().split()))
    killed = 2 * times - len(acknowledged)
    print(f"{2 * times} ingests, {killed} killed, {len(acknowledged)} acknowledged, {lost} acknowledged facts lost")


class Forked:
    """A fork that does some work, and what it says."""

    def __init__(self, work: Callable[[], str]) -> None:
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115  closed with the object
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._answer.write(work().encode())
                self._answer.flush()
            except BaseException:
                os._exit(1)
            os._exit(0)

    def wait_until(self, limit: float) -> int:
        """The exit status; the fork is killed at `limit`, a time of the performance counter."""
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                return status
            if time.perf_counter() > limit:
                os.kill(self._pid, signal.SIGKILL)
                return os.waitpid(self._pid, 0)[1]
            time.sleep(0.002)

    def said(self) -> str:
        """What the work returned."""
        self._answer.seek(0)
        return self._answer.read().decode()


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--kills", type=int, default=0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if wanted.kills:
            kill(Path(folder), wanted.kills)
            return
        measure(Path(folder), wanted.files)
        measure_records(Path(folder), wanted.records)


if __name__ == "__main__":
    main()
