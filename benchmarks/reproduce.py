"""Does `reproduce` name what was injected? Random pairs of defects, put into transformers' own model.

    python -m benchmarks.reproduce --out OUT [--cases 20] [--seed 1] [--model data/demo-model] [--window 4x4x128]
        [--command-line N] [--beside 1] [--device cpu]

Nothing of the tool injects here (reproduce_defects.py), and the loss is the plain formula on the same ids. The first N
claims go to `python -m diag reproduce … --json`, a process each, --beside of them at a time (on cards, in turn); the
others to the same ranking in this process, which remembers losses from case to case. Prints a row a case and writes
OUT/reproduce.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModelForCausalLM

from benchmarks.reproduce_defects import APART, code_of, defects_of
from diag.case import Window
from diag.checkpoints import open_checkpoint
from diag.hypotheses.base import Context
from diag.jobs.reproduction import MOST
from diag.jobs.slots import visible_gpus
from diag.model.build import build
from diag.model.estimate import fast_bf16
from diag.reproduce.injector import Injector
from diag.reproduce.ranking import Aim, listed, rank
from diag.reproduce.table import injections
from diag.shards import open_shard, read_window
from diag.units import Claim

ROOT = Path(__file__).resolve().parents[1]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Asked:
    """The healthy model and its window."""

    model: Path
    shard: Path
    window: str
    device: str
    threads: int = 0

    @property
    def ids(self) -> Tensor:
        """int64 [sequences, seq + 1]."""
        return torch.from_numpy(read_window(open_shard(self.shard), Window.parse(self.window)).ids.astype("int64"))


class Case(NamedTuple):
    """A pair of defects, and what a program with them prints."""

    pair: Pair
    claim: float


@torch.inference_mode()
def loss(asked: Asked, names: tuple[str, ...]) -> float:
    """What the broken program reports: nats, or what it takes for nats."""
    if asked.threads:
        torch.set_num_threads(asked.threads)
    model = AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32).eval()
    code = code_of(model)
    sound = getattr(code, "apply_rotary_pos_emb", None)
    model.label_shift, model.unit = 1, 1.0
    try:
        for name in names:
            defects_of(model.config.model_type)[name][1](model)
        by, sums = model.label_shift, []
        for row in asked.ids:
            logits = model(row[None, : len(row) - by]).logits[0].float()
            sums.append(F.cross_entropy(logits, row[by:]).item())
    finally:
        if sound is not None:
            code.apply_rotary_pos_emb = sound
    return model.unit * sum(sums) / len(sums)


def drawn(model: Path, seed: int) -> Iterator[Pair]:
    """Random pairs of two slots that the model can have, without end."""
    checkpoint, rng = open_checkpoint(model), random.Random(seed)
    known = defects_of(str(checkpoint.raw_config["model_type"]))
    can = sorted({each.name for each in injections(Context(checkpoint))} & set(known))
    print(f"{len(can)} defects: {', '.join(can)}", flush=True)
    while True:
        one, other = sorted(rng.sample(can, 2))
        if known[one][0] != known[other][0] and {one, other} not in APART:
            yield one, other


def cases(asked: Asked, most: int, seed: int, beside: int) -> list[Case]:
    """So many pairs of which neither can hide behind the other."""
    found: list[Case] = []
    with ProcessPoolExecutor(beside, mp_context=get_context("spawn")) as pool:
        sound, pairs = loss(asked, ()), drawn(asked.model, seed)
        while True:
            some = [next(pairs) for _ in range(beside)]
            sets = [names for pair in some for names in (pair, pair[:1], pair[1:])]
            seen = list(pool.map(loss, [asked] * len(sets), sets))
            for i, pair in enumerate(some):
                claim, *alone = seen[3 * i : 3 * i + 3]
                if min(abs(claim - x) for x in (sound, *alone)) >= 1e-3:
                    found.append(Case(pair, claim))
            if len(found) >= most:
                return found[:most]


class Ours:
    """The tool's ranking, in this process or as a command."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.window = asked, Window.parse(asked.window)
        self._built: tuple[Injector, Injector] | None = None
        self._cards = visible_gpus() if asked.device == "cuda" else []

    def command(self, claim: str, number: int) -> dict[str, Any]:
        """What the command prints."""
        window, asked, environment = self.window, self.asked, dict(os.environ)
        if asked.threads:
            environment["OMP_NUM_THREADS"] = str(asked.threads)
        if self._cards:
            environment["CUDA_VISIBLE_DEVICES"] = self._cards[number % len(self._cards)]
        options = ("--checkpoint", asked.model, "--shard", asked.shard, "--claimed-loss", claim)
        sizes = ("--batches", window.batches, "--batch-size", window.batch_size, "--seq-len", window.seq_len)
        command = [sys.executable, "-m", "diag", "reproduce", *map(str, (*options, *sizes))]
        command += ["--device", asked.device, "--json"]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SystemExit(f"{claim}: exit {ran.returncode}: {ran.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def ranking(self, claim: str, number: int) -> dict[str, Any]:
        """The same keys, of what was remembered from other claims too."""
        checkpoint = open_checkpoint(self.asked.model)
        if self._built is None:
            ids = read_window(open_shard(self.asked.shard), self.window).ids
            exact = Injector(build(checkpoint, device="cpu", dtype="fp32"), ids, lambda: None)
            quick = Injector(build(checkpoint, device="cpu", dtype="bf16"), ids, lambda: None) if fast_bf16() else exact
            self._built = exact, quick
        aim = Aim(float(claim), Claim(float(claim)).half_unit)
        found = rank(*self._built, injections(Context(checkpoint)), aim, lambda fraction, text: None)
        named, to_the_digit = listed(found.nearest, aim, MOST)
        rows = [{"defects": [each.name for each in m.injected], "distance_nats": m.distance(aim.nats)} for m in named]
        return {"candidates": rows, "fits": found.fits, "to_the_digit": to_the_digit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=ROOT / "data" / "demo-model")
    parser.add_argument("--shard", type=Path, default=ROOT / "data" / "demo" / "shards" / "stdlib")
    parser.add_argument("--window", default="4x4x128")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--digits", type=int, default=4, help="decimals of the claim")
    parser.add_argument("--command-line", type=int, default=0, help="how many cases go through the command line")
    parser.add_argument("--beside", type=int, default=1, help="how many processes at a time, which divide the cores")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // given.beside) if given.beside > 1 else 0
    asked = Asked(given.model, given.shard, given.window, given.device, threads)
    found, ours, rows = cases(asked, given.cases, given.seed, given.beside), Ours(asked), list[dict[str, Any]]()

    def keep(case: Case, number: int) -> None:
        started = time.perf_counter()
        by = ours.command if number < given.command_line else ours.ranking
        said = by(f"{case.claim:.{given.digits}f}", number)
        ranks = [i + 1 for i, c in enumerate(said["candidates"]) if sorted(c["defects"]) == list(case.pair)]
        row = {"pair": case.pair, "claim": case.claim, "rank": ranks[0] if ranks else None, "fits": said["fits"]}
        row |= {"to_the_digit": said["to_the_digit"], "by": by.__name__, "seconds": time.perf_counter() - started}
        row |= {"closest": said["candidates"][0]["defects"], "distance": said["candidates"][0]["distance_nats"]}
        rows.append(row)
        print(json.dumps(row), flush=True)
        (given.out / "reproduce.json").write_text(json.dumps(rows, indent=1) + "\n")

    with ThreadPoolExecutor(given.beside) as pool:
        list(pool.map(keep, found[: given.command_line], range(given.command_line)))
    for number, case in list(enumerate(found))[given.command_line :]:
        keep(case, number)
    named = sum(row["rank"] is not None for row in rows)
    print(f"named among the ten: {named} of {len(rows)}; closest of all: {sum(row['rank'] == 1 for row in rows)}")


if __name__ == "__main__":
    main()
