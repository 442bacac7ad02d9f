"""Two writers of decisions, each killed with SIGKILL again and again: no acknowledged entry may be lost or torn.

    python -m tests.faults.decisions_loop [--kills 100] [--seed N]

A writer prints the number of an entry once `append` has returned. Afterwards every printed entry must be in the file,
and every line but those that a kill left unfinished must be an entry. Not collected by pytest.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from diag.evidence.decisions import read

WRITER = """
import itertools, sys
from pathlib import Path
from diag.evidence.decisions import Decision, append
for i in itertools.count(int(sys.argv[3])):
    append(Path(sys.argv[1]), Decision("note", "case", owner=sys.argv[2], note=f"{i} " + "x" * (i * 37 % 1900)))
    print(i, flush=True)
"""


def main() -> None:
    """Print what was acknowledged, what was found, and what is missing."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        acknowledged: dict[str, list[int]] = {"a": [], "b": []}
        for turn in range(asked.kills // 2):
            writers = {who: _started(folder, who, len(acknowledged[who]) + 100_000 * turn) for who in acknowledged}
            time.sleep(0.35 + 0.4 * chance.random())
            for who, writer in writers.items():
                writer.kill()
                said = writer.communicate()[0]
                acknowledged[who] += [int(line) for line in said.split("\n")[:-1]]
        found, torn = read(folder)
        there = {(decision.owner, int(decision.note.split()[0])) for decision in found}
        missing = [(who, i) for who, numbers in acknowledged.items() for i in numbers if (who, i) not in there]
        total = sum(map(len, acknowledged.values()))
        counts = f"{total} acknowledged, {len(found)} found, {torn} torn lines, {len(missing)} missing"
        print(f"{asked.kills} kills, {counts}")
        sys.exit(bool(missing) or torn > asked.kills)


def _started(folder: Path, who: str, first: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), who, str(first)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    main()
