"""Do two commits say the same? The command line of each over the same files, their `--json` compared key by key.

    python benchmarks/same_results.py make WORK                      planted checkpoints and shards of every format
    python benchmarks/same_results.py run WORK --checkout DIR --out A.json
    python benchmarks/same_results.py compare A.json B.json          what differs, grouped by key; exit 1 if anything

`make` needs this checkout only; `run` needs nothing of a checkout but `python -m diag`. Seconds, memory, record ids and
paths are left out. Two cores: about 8 minutes a run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WINDOW = ["--batches", "4", "--batch-size", "4", "--seq-len", "64"]
VOLATILE = re.compile(r"(^|\.)(seconds|record|path|peak_memory_bytes|load_seconds|forward_seconds|dir)($|\.|\[)")


def make(work: Path) -> None:
    """Write what `run` looks at. The plants are those of the test zoo, the shards those of the reader tests."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "zoo"), str(ROOT / "tests" / "shards")]
    import numpy as np
    from plants import PLANTS, write_plant
    from token_files import WRITERS

    subprocess.run([sys.executable, "-m", "diag", "demo", "--dir", str(work / "demo")], cwd=ROOT, check=True)
    for plant in PLANTS:
        write_plant(plant, work / "demo" / "checkpoints" / "healthy", work / "plants" / plant.name)
    rng = np.random.default_rng(0)
    documents = [[*rng.zipf(1.3, size=int(n)).clip(1, 4000).tolist(), 0] for n in rng.integers(20, 400, size=200)]
    for name, writer in WRITERS.items():
        folder = work / "shards" / name.replace(" ", "-")
        folder.mkdir(parents=True)
        dtype = next(kind for kind in writer.dtypes if kind not in ("u8", "i8"))  # the ids go up to 4,000
        path = writer.write(folder, documents, dtype)
        (folder / "given.json").write_text(json.dumps([path.name, dtype if writer.asked else None]))


def commands(work: Path) -> Iterator[tuple[str, list[str]]]:
    """(name, arguments) of every command whose answer is compared."""
    demo = work / "demo"
    shard, healthy = str(demo / "shards" / "stdlib"), str(demo / "checkpoints" / "healthy")
    broken = str(demo / "shards" / "stdlib-unk")
    tokenizer = ["--tokenizer", healthy]
    yield "shard stdlib", ["shard", shard, *tokenizer, "--gate-below", "9.38"]
    yield "shard stdlib-unk", ["shard", broken, *tokenizer, "--gate-below", "9.38", "--compare", shard]
    for folder in sorted((work / "shards").iterdir()):
        name, dtype = json.loads((folder / "given.json").read_text())
        more = ["--dtype", dtype] if dtype else []
        yield f"shard {folder.name}", ["shard", str(folder / name), "--vocab-size", "4096", "--no-cache", *more]
    checkpoints = sorted([*(demo / "checkpoints").iterdir(), *(work / "plants").iterdir()])
    for path in checkpoints:
        yield f"checkpoint {path.name}", ["checkpoint", str(path), "--compare", healthy]
        case = ["--checkpoint", str(path), "--shard", shard, *WINDOW]
        yield f"test {path.name}", ["test", *case, "--reference", healthy, "--claimed-loss", "19.8"]
        yield f"test {path.name} alone", ["test", *case, "--gate-below", "9.38"]
    yield "forward healthy", ["forward", "--checkpoint", healthy, "--shard", shard, "--reference", healthy, *WINDOW]
    yield "test data", ["test", "--checkpoint", healthy, "--shard", broken, *WINDOW]


def run(work: Path, checkout: Path, out: Path) -> None:
    """Every command in `checkout`, its answer kept under its name."""
    env = os.environ | {"SUBRANDOM_EVIDENCE": str(out.with_suffix(".evidence")), "SUBRANDOM_DEMO": str(work / "demo")}
    env["SUBRANDOM_CACHE"] = str(out.with_suffix(".cache"))
    found: dict[str, Any] = {}
    for name, arguments in commands(work):
        line = [sys.executable, "-m", "diag", *arguments, "--json"]
        done = subprocess.run(line, cwd=checkout, env=env, capture_output=True, text=True, check=False)
        found[name] = {"exit": done.returncode, "json": json.loads(done.stdout) if done.stdout else done.stderr}
        print(f"{name}: exit {done.returncode}", file=sys.stderr, flush=True)
        out.write_text(json.dumps(found))


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, leaf). Items of a list that have a name, an id or a code go by it, so order does not count."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flat(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            label = next((item[k] for k in ("name", "id", "code") if k in item), at) if isinstance(item, dict) else at
            yield from flat(item, f"{key}[{label}]")
    else:
        yield key, value


def compare(before: Path, after: Path) -> int:
    """Print keys whose values differ and keys of one side only; returns how many values of common keys differ."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    changed: dict[str, list[str]] = defaultdict(list)
    gone: dict[str, int] = defaultdict(int)
    fresh: dict[str, int] = defaultdict(int)
    same = 0
    for name in old:
        a, b = dict(flat(old[name])), dict(flat(new.get(name, {})))
        for key in sorted(a.keys() | b.keys()):
            if VOLATILE.search(key):
                continue
            kind = re.sub(r"\[[^\]]*\]", "[]", key)
            if key not in b:
                gone[kind] += 1
            elif key not in a:
                fresh[kind] += 1
            elif a[key] == b[key] or _near(a[key], b[key]):
                same += 1
            else:
                changed[kind].append(f"{name} {key}: {a[key]!r} → {b[key]!r}")
    print(f"{same:,} values are the same in {len(old)} answers")
    for title, counts in (("only before", gone), ("only after", fresh)):
        for kind, n in sorted(counts.items()):
            print(f"{title}: {kind} ({n})")
    for kind, lines in sorted(changed.items()):
        print(f"changed: {kind} ({len(lines)})\n  " + "\n  ".join(line[:300] for line in lines[:4]))
    return sum(map(len, changed.values()))


def _near(a: Any, b: Any) -> bool:
    """Two sums of the same numbers in another order: 12 digits."""
    numbers = isinstance(a, float) and isinstance(b, float)
    return numbers and abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands_ = parser.add_subparsers(dest="do", required=True)
    commands_.add_parser("make").add_argument("work", type=Path)
    runner = commands_.add_parser("run")
    runner.add_argument("work", type=Path)
    runner.add_argument("--checkout", type=Path, default=ROOT)
    runner.add_argument("--out", type=Path, required=True)
    comparer = commands_.add_parser("compare")
    comparer.add_argument("before", type=Path)
    comparer.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.do == "make":
        make(given.work.absolute())
    elif given.do == "run":
        run(given.work.absolute(), given.checkout.absolute(), given.out.absolute())
    else:
        sys.exit(1 if compare(given.before, given.after) else 0)


if __name__ == "__main__":
    main()
