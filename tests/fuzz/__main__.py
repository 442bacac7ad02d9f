"""Damaged copies of a sample of every reader: each must open and be read, or be refused in one line.

    python -m tests.fuzz [--only NAME …] [--tries N] [--seed 0]     (make fuzz)

Each batch runs in a process of its own, so that a crash is counted and not suffered. A failure keeps the damaged files
under tests/fuzz/seeds, which the tests try again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from readers import READERS
from tries import Outcome, run

BATCH = 5_000


def batch(name: str, numbers: range, seed: int) -> Outcome:
    """Run one batch in a child; one that dies is a failure that names the number it died at."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    at = context.Value("q", -1)
    child = context.Process(target=_child, args=(there, at, name, numbers, seed))
    child.start()
    there.close()
    try:
        outcome: Outcome = here.recv()
    except EOFError:
        child.join()
        return Outcome(failures=(f"try {at.value}: the process ended with {child.exitcode}",), tries=len(numbers))
    child.join()
    return outcome


def _child(there, at, name: str, numbers: range, seed: int) -> None:  # type: ignore[no-untyped-def]
    there.send(run(READERS[name], numbers, seed, at))


def main() -> None:
    """Fuzz, print the table, exit 1 on any failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(READERS), default=tuple(READERS))
    parser.add_argument("--tries", type=int, help="instead of each reader's own number")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| reader | damaged | opened | refused | slowest, s | memory grew by, MB | seconds | failures |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    failed = False
    for name in options.only:
        tries, total, started = options.tries or READERS[name].tries, Outcome(), time.monotonic()
        for first in range(0, tries, BATCH):
            total += batch(name, range(first, min(tries, first + BATCH)), options.seed)
        counts = f"{total.tries:,} | {total.opened:,} | {total.tries - total.opened:,} | {total.slowest:.2f}"
        costs = f"{total.grown / 1e6:.0f} | {time.monotonic() - started:,.0f}"
        print(f"| {name} | {counts} | {costs} | {len(total.failures)} |", flush=True)
        for failure in total.failures[:10]:
            print(f"{name}, {failure}", file=sys.stderr, flush=True)
        failed |= bool(total.failures)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
