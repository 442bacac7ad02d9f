"""Does `conclusion.fix`, applied as it is printed, cure the loss? One case of every hypothesis H4A to H4I and more.

    python benchmarks/fix_by_hand.py --out OUT [--cases 10] [--seed 1] [--first 0]

Each case: a defect planted in a trained model of tests/zoo/models, `python -m diag test … --json` beside the sound one;
then this script, which knows nothing of the tool's edits, changes the lines of config.json by the printed diff and runs
the printed Python on the file's state dict; then the same command on what came out. Prints a row a case.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from diag.zoo.defects import SINGLE  # noqa: E402
from diag.zoo.model import models_in, open_model, write_model  # noqa: E402

CLOSE = 0.01  # nats
WINDOW = ("--batches", "2", "--batch-size", "4", "--seq-len", "64", "--device", "cpu")


def tested(checkpoint: Path, twin: Path, shard: Path, evidence: Path) -> dict[str, Any]:
    """What the command says of it."""
    paths = ("--checkpoint", checkpoint, "--reference", twin, "--shard", shard, "--evidence", evidence)
    command = [sys.executable, "-m", "diag", "test", *map(str, paths), *WINDOW, "--json"]
    ran = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(ran.stderr.strip())
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def by_hand(fix: list[dict[str, str]], broken: Path, twin: Path, out: Path) -> None:
    """The rows as they are printed, on a copy: the diff of config.json, and the Python over state dicts."""
    shutil.copytree(broken, out)
    config = json.loads((out / "config.json").read_text())
    state, reference = load_file(out / "model.safetensors"), load_file(twin / "model.safetensors")
    for row in fix:
        if row["what"] == "config":
            for line in row["change"].splitlines():
                entry = json.loads("{" + line[1:].strip().rstrip(",") + "}")
                if line.startswith("-"):
                    for key in entry:
                        config.pop(key)
                else:
                    config |= entry
        if row["what"] == "code":
            exec(row["change"], {"state": state, "reference": reference, "config": config})
    (out / "config.json").write_text(json.dumps(config, indent=2))
    save_file({name: t.contiguous().clone() for name, t in state.items()}, out / "model.safetensors", {"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the case to begin with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=Path, default=ROOT / "tests" / "zoo" / "models")
    parser.add_argument("--shard", type=Path, default=ROOT / "data" / "demo" / "shards" / "stdlib")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    places, rows = models_in(asked.models), []
    for number in range(asked.first, asked.first + asked.cases):
        rng = np.random.default_rng((asked.seed, number))
        kinds, broken = SINGLE[sorted(SINGLE)[number % len(SINGLE)]], None
        for _ in range(60):
            name, defect = sorted(places)[int(rng.integers(len(places)))], kinds[int(rng.integers(len(kinds)))]
            model = open_model(places[name])
            change = defect.plant(rng, model)
            if change is None or change.placeholders:
                continue
            place = asked.out / f"case-{number}"
            shutil.rmtree(place, ignore_errors=True)
            broken = write_model(model.changed(change), place / "broken")
            before = tested(broken, places[name], asked.shard, place / "evidence")
            if before["conclusion"]["kind"] == "explained":
                break  # others cost nothing here, or cannot be repaired
        row: dict[str, Any] = {"case": number, "planted": defect.name, "model": name}
        row |= {"named": before["conclusion"]["hypotheses"], "broken": before["loss_nats"]}
        row |= {"twin": before["reference_nats"], "rows": [r["what"] for r in before["conclusion"]["fix"]]}
        try:
            by_hand(before["conclusion"]["fix"], broken, places[name], place / "fixed")
            row["cured"] = tested(place / "fixed", places[name], asked.shard, place / "evidence")["loss_nats"]
        except Exception as error:  # the printed text may be wrong in any way: that is what is looked for
            row["error"] = f"{type(error).__name__}: {error}"
        rows.append(row)
        print(json.dumps(row), flush=True)
    close = sum(abs(row.get("cured", np.inf) - row["twin"]) <= CLOSE for row in rows)
    print(f"within {CLOSE} nats of the twin: {close} of {len(rows)}")


if __name__ == "__main__":
    main()
