"""Are repaired checkpoints, opened from disk by transformers itself, as good as the sound ones they were broken from?

    python benchmarks/repair.py --out OUT [--each 1] [--seed 1] [--only H4A] [--kills 20]

Plants `--each` defects of every hypothesis H4A to H4I in the trained models of tests/zoo/models, tests each beside its
twin, repairs it from the record, opens the folder with AutoModelForCausalLM and compares losses. Then a writer is
killed `--kills` times at random moments. Prints a row a case and writes OUT/repair.json.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from diag.case import Case, Window  # noqa: E402
from diag.checkpoints import open_checkpoint  # noqa: E402
from diag.errors import InputError  # noqa: E402
from diag.jobs import repair, tasks  # noqa: E402
from diag.jobs.inputs import join_inputs  # noqa: E402
from diag.progress import silent  # noqa: E402
from diag.shards import open_shard  # noqa: E402
from diag.zoo.defects import SINGLE  # noqa: E402
from diag.zoo.model import models_in, open_model, write_model  # noqa: E402

WINDOW = Window(2, 4, 64)
CLOSE = 0.01  # nats
KILLED = """
import sys
from pathlib import Path
from diag.checkpoints import open_checkpoint
from diag.progress import silent
from diag.repairs.folder import whole_folder
from diag.repairs.write import bytes_needed, write_repaired
from diag.repairs.patch import read_patch
patch, edits = read_patch(Path(sys.argv[1]))
found = open_checkpoint(Path(sys.argv[2]))
print("ready", flush=True)
with whole_folder(Path(sys.argv[3]), bytes_needed(found)) as folder:
    write_repaired(found, edits, open_checkpoint(Path(sys.argv[4])), folder, silent)
"""


@torch.inference_mode()
def loss(path: Path, ids: np.ndarray) -> float:
    """By transformers alone, in float32."""
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    rows = torch.from_numpy(ids.astype("int64"))
    logits = model(rows[:, :-1]).logits.float()
    return float(F.cross_entropy(logits.transpose(1, 2), rows[:, 1:]))


def repaired(broken: Path, twin: Path, shard: Path, out: Path) -> dict[str, Any]:
    """Tested beside its twin, repaired from the record, and measured."""
    case = Case("shard", "broken", "twin", WINDOW, device="cpu")
    inputs = join_inputs(case, open_shard(shard), open_checkpoint(broken), open_checkpoint(twin))
    diagnosis = tasks.test(inputs, (), silent)
    record = tasks.record(inputs, diagnosis)
    found: dict[str, Any] = {"conclusion": diagnosis.conclusion.kind, "named": diagnosis.conclusion.hypotheses}
    found |= {"broken": diagnosis.loss.nats}
    if diagnosis.joint is None:
        return found | {"repaired": None}
    done = repair.repair(record, inputs, out, silent)
    ids = inputs.window.ids
    found |= {"ours": done.baseline.loss.nats, "repaired": loss(done.path, ids), "twin": loss(twin, ids)}
    return found | {"edits": [edit["kind"] for edit in diagnosis.joint.edits]}


def kills(patch: Path, broken: Path, twin: Path, folder: Path, count: int) -> int:
    """How often a killed writer left something under the final name, or changed the original."""
    before, wrong = open_checkpoint(broken).fingerprint, 0
    rng = random.Random(3)
    for i in range(count):
        out = folder / f"killed-{i}"
        command = [sys.executable, "-c", KILLED, patch, broken, out, twin]
        with subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None and child.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0.0, 0.3))
            child.send_signal(signal.SIGKILL)
        whole = out.exists() and open_checkpoint(out).fingerprint == open_checkpoint(patch.parent).fingerprint
        wrong += (out.exists() and not whole) or open_checkpoint(broken).fingerprint != before
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--each", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="H4[A-I]")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--models", type=Path, default=ROOT / "tests" / "zoo" / "models")
    parser.add_argument("--shard", type=Path, default=ROOT / "data" / "demo" / "shards" / "stdlib")
    asked = parser.parse_args()
    rng, rows, places = np.random.default_rng(asked.seed), [], models_in(asked.models)
    asked.out.mkdir(parents=True, exist_ok=True)
    import re

    for id in (id for id in SINGLE if re.fullmatch(asked.only, id)):
        done = tries = 0
        while done < asked.each and tries < 40:
            tries += 1
            name = sorted(places)[int(rng.integers(len(places)))]
            model, defect = open_model(places[name]), SINGLE[id][int(rng.integers(len(SINGLE[id])))]
            change = defect.plant(rng, model)
            if change is None or change.placeholders:
                continue
            place = asked.out / f"{id}-{len(rows)}"
            shutil.rmtree(place, ignore_errors=True)
            write_model(model.changed(change), place / "broken")
            try:
                row = repaired(place / "broken", places[name], asked.shard, place / "fixed")
            except InputError as error:
                row = {"error": str(error)}
            if row.get("conclusion") in ("healthy", "no_defect_found"):
                continue  # it costs nothing here
            done += 1
            off = abs(row["repaired"] - row["twin"]) if row.get("repaired") is not None else None
            rows.append({"id": id, "defect": defect.name, "model": name, **row, "off": off})
            print(json.dumps(rows[-1]), flush=True)
            (asked.out / "repair.json").write_text(json.dumps(rows, indent=1) + "\n")
    close = sum(row["off"] is not None and row["off"] <= CLOSE for row in rows)
    print(f"within {CLOSE} nats of the twin: {close} of {len(rows)}")
    fixed = next((p.parent for p in sorted(asked.out.glob("*/fixed")) if (p / "repair.json").is_file()), None)
    if fixed and asked.kills:
        row = rows[int(fixed.name.rpartition("-")[2])]
        wrong = kills(fixed / "fixed" / "repair.json", fixed / "broken", places[row["model"]], asked.out, asked.kills)
        print(f"killed {asked.kills} times: {wrong} left something half written")


if __name__ == "__main__":
    main()
