"""How fast is every id of a token file counted, against summing the mapped file and against other engines?

    python benchmarks/counting.py --dir FOLDER [--ids 500_000_000] [--engine-ids 50_000_000] [--rounds 5] [--out FILE]

Writes a Zipf-distributed u32 file (4 bytes an id) into FOLDER once, reads it once so that it lies in the page cache,
then runs every contender in a process of its own, round after round: twice, and the sum of the same ids with a uint32
accumulator before, between and after, so that each time is divided by the sums beside it. The first run pays for new
memory, which the sum needs none of, and which a virtual machine may have to ask its host for (2 ms a MB where this was
measured); the second has it. Memory is the peak of RssAnon, sampled every 5 ms: pages of the mapped file are not
counted. duckdb, pyarrow, polars and pandas get the first --engine-ids ids; polars is left out where it is
not installed (`pip install polars`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
VOCAB = 151_936
BASE = "sum, uint32 accumulator"


def sum_u32(path: Path, n: int) -> int:
    """The yardstick: one thread, nothing but reading and adding."""
    return int(np.memmap(path, dtype="<u4", mode="r", shape=(n,)).sum(dtype=np.uint32))


def ours_counting(path: Path, n: int) -> int:
    """The counting loop alone, on two threads with a table each."""
    from diag import jit
    from diag.shards import open_shard
    from diag.shards.counting import scan

    count, local, tables = jit.compiled(scan._count), threading.local(), []

    def work(piece: Callable[[], np.ndarray]) -> int:
        if not hasattr(local, "table"):
            local.table = np.zeros(VOCAB, dtype=np.uint32)
            tables.append(local.table)
        return count(piece(), local.table)

    strays = sum(scan.each(open_shard(path, dtype="u32").shards[0].source.pieces(n), work))
    return sum(int(table.sum()) for table in tables) + strays


def ours_counts(path: Path, n: int) -> int:
    """The table of counts with runs: what one pass always finds."""
    from diag.shards import Plan, open_shard, summarise

    return summarise(open_shard(path, dtype="u32"), Plan(VOCAB), first=n).counts.tokens


def ours_audit(path: Path, n: int) -> str:
    """The full audit with documents, the window of a trainer, duplicates and round trip, without the bigram. The
    tokenizer is the demo's and has few of these ids, so the round trip of the demo's own shard is added."""
    from diag.case import Window
    from diag.shards import TokenText, audit_shard, open_shard
    from diag.shards.figures.round_trip import round_trip

    text = TokenText.open(ROOT / "data" / "demo" / "checkpoints" / "healthy")
    assert round_trip(open_shard(ROOT / "data" / "demo" / "shards" / "stdlib"), text).verdict == "text"
    return audit_shard(open_shard(path, dtype="u32"), vocab_size=VOCAB, text=text, first=n, window=Window()).status


def ours_bigram(path: Path, n: int) -> float:
    """The held-out bigram, which looks at a bounded number of ids."""
    from diag.shards import open_shard
    from diag.shards.figures.bigram import held_out_bigram

    found = held_out_bigram(open_shard(path, dtype="u32"), VOCAB, first=n)
    return found.nats if found else 0.0


def bincount_chunks(path: Path, n: int) -> int:
    """np.bincount over 512 Ki ids at a time, one thread."""
    ids, total = np.memmap(path, dtype="<u4", mode="r", shape=(n,)), np.zeros(VOCAB, dtype=np.int64)
    for start in range(0, n, 1 << 19):
        found = np.bincount(ids[start : start + (1 << 19)])
        total[: len(found)] += found
    return int(total.sum())


def bincount_once(path: Path, n: int) -> int:
    """np.bincount in one call: it copies the ids to int64 first."""
    return int(np.bincount(np.memmap(path, dtype="<u4", mode="r", shape=(n,))).sum())


def pandas_counts(path: Path, n: int) -> int:
    """Series.value_counts."""
    import pandas as pd

    return int(pd.Series(np.memmap(path, dtype="<u4", mode="r", shape=(n,))).value_counts().sum())


def pyarrow_counts(path: Path, n: int) -> int:
    """compute.value_counts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return len(pc.value_counts(pa.array(np.memmap(path, dtype="<u4", mode="r", shape=(n,)))))


def duckdb_counts(path: Path, n: int) -> int:
    """GROUP BY over the array."""
    import duckdb

    frame = {"id": np.memmap(path, dtype="<u4", mode="r", shape=(n,))}
    return len(duckdb.sql("SELECT id, count(*) FROM frame GROUP BY id").fetchall()) + len(frame) - 1


def polars_counts(path: Path, n: int) -> int:
    """group_by().len()."""
    import polars as pl

    return pl.DataFrame({"id": np.memmap(path, dtype="<u4", mode="r", shape=(n,))}).group_by("id").len().height


OURS: dict[str, Callable[[Path, int], Any]] = {
    BASE: sum_u32,
    "subrandom: counting": ours_counting,
    "subrandom: counts and runs": ours_counts,
    "subrandom: full audit": ours_audit,
    "subrandom: held-out bigram": ours_bigram,
    "np.bincount, 512 Ki ids a call": bincount_chunks,
}
ENGINES: dict[str, Callable[[Path, int], Any]] = {
    BASE: sum_u32,
    "subrandom: counting": ours_counting,
    "subrandom: full audit": ours_audit,
    "np.bincount, one call": bincount_once,
    "pandas value_counts": pandas_counts,
    "pyarrow value_counts": pyarrow_counts,
    "polars group_by": polars_counts,
    "duckdb GROUP BY": duckdb_counts,
}


def build(path: Path, n: int) -> None:
    """A Zipf file with a separator about every 1,000 ids; written once, read once."""
    if not path.exists() or path.stat().st_size != 4 * n:
        rng = np.random.default_rng(0)
        cumulative = np.cumsum(1 / np.arange(1, VOCAB + 1))
        places = rng.permutation(VOCAB).astype("<u4")
        with path.open("wb") as stream:
            for start in range(0, n, 1 << 22):
                ranks = np.searchsorted(cumulative / cumulative[-1], rng.random(min(1 << 22, n - start)))
                places[ranks].tofile(stream)
    with path.open("rb") as stream:
        while stream.read(1 << 24):
            pass


def child(name: str, path: Path, n: int) -> None:
    """Run one contender: imports and compilation first, on a few ids, then the clock: sum, work, sum, work, sum."""
    sys.path.insert(0, str(ROOT))
    work = (OURS | ENGINES)[name]
    work(path, 100_000)
    sum_u32(path, n)
    done, before, peak = threading.Event(), anonymous_bytes(), [0]

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    times = [seconds_of(each, path, n) for each in (sum_u32, work, sum_u32, work, sum_u32)]
    done.set()
    watcher.join()
    first, again = times[1] * 2 / (times[0] + times[2]), times[3] * 2 / (times[2] + times[4])
    peak_mb = max(before, peak[0]) / 1e6
    print(json.dumps({"first_s": times[1], "again_s": times[3], "first": first, "again": again, "peak_mb": peak_mb}))


def seconds_of(work: Callable[[Path, int], Any], path: Path, n: int) -> float:
    """Of one call."""
    started = time.perf_counter()
    work(path, n)
    return time.perf_counter() - started


def anonymous_bytes() -> int:
    """Memory of this process that is not backed by a file."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) * 1024


def compare(contenders: dict[str, Callable[[Path, int], Any]], path: Path, n: int, rounds: int) -> list[dict[str, Any]]:
    """Every contender once a round. Each figure: [median, min, max]."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name in contenders:
            command = [sys.executable, __file__, "--child", name, "--dir", str(path), "--ids", str(n)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
            if done.returncode == 0:
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
            else:
                print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
    rows = []
    for name, runs in found.items():
        if len(runs) == rounds:
            figures = {key: [run[key] for run in runs] for key in runs[0]}
            spread = {key: [statistics.median(v), min(v), max(v)] for key, v in figures.items()}
            rows.append({"name": name, "ids": n, **spread})
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown; medians, and the range."""
    lines = [
        "| method | seconds | × sum, new memory | × sum, memory it has | M ids/s | peak anonymous MB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['name']} | {spread(r['first_s'], 3)} | {spread(r['first'], 2)} | {spread(r['again'], 2)} "
        f"| {r['ids'] / r['first_s'][0] / 1e6:,.0f} | {r['peak_mb'][2]:,.0f} |"
        for r in rows
    ]
    return "\n".join(lines)


def spread(figures: list[float], digits: int) -> str:
    """Median (min to max)."""
    median, low, high = (f"{figure:.{digits}f}" for figure in figures)
    return f"{median} ({low} to {high})"


def corrupt(path: Path, n: int, rounds: int) -> float:
    """The audit with one id of 2^32 - 1 in the middle, as a ratio to the audit without it, medians of `rounds`."""
    ids = np.memmap(path, dtype="<u4", mode="r+", shape=(n,))
    kept = int(ids[n // 2])
    medians = []
    for value in (kept, 2**32 - 1):
        ids[n // 2] = value
        ids.flush()
        name = "subrandom: full audit"
        medians.append(compare({BASE: sum_u32, name: OURS[name]}, path, n, rounds)[1]["first_s"][0])
    ids[n // 2] = kept
    ids.flush()
    return medians[1] / medians[0]


def main() -> None:
    """Parse, build, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--ids", type=int, default=500_000_000)
    parser.add_argument("--engine-ids", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine-rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.dir, options.ids)
        return
    options.dir.mkdir(parents=True, exist_ok=True)
    path = options.dir / f"zipf-{options.ids}.bin"
    build(path, options.ids)
    ours = compare(OURS, path, options.ids, options.rounds)
    print(f"{options.ids:,} ids, n = {options.rounds} rounds\n\n{table(ours)}\n")
    engines = compare(ENGINES, path, options.engine_ids, options.engine_rounds)
    print(f"{options.engine_ids:,} ids, n = {options.engine_rounds} rounds\n\n{table(engines)}\n")
    ratio = corrupt(path, options.ids, options.engine_rounds)
    print(f"One id of 2^32 - 1 in the middle: {ratio:.2f} × the audit without it.")
    if options.out:
        options.out.write_text(json.dumps({"ours": ours, "engines": engines, "corrupt_ratio": ratio}, indent=1))


if __name__ == "__main__":
    main()
