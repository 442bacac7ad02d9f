"""How often are the signatures without a forward pass wrong? Layout, rotary pairing and fresh initialisation, planted.

    python benchmarks/signatures.py --models DIR [DIR …] [--out FILE] [--dimensions 256] [--vectors 1024]

Every DIR is a checkpoint of a trained model, a folder or a file, such as tests/zoo/models and what benchmarks/real.py
fetches. Defects are planted in memory, in the values as read: one matrix, a role, groups and random subsets at a time.
docs/signatures.md quotes the tables that are printed. Nothing here depends on the scale of a matrix, so fresh ones are
drawn with any. NumPy only, one process a model: half a minute for ten small models, some minutes for the real ones.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import zlib
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from signature_tables import report  # noqa: E402

from diag.checkpoints import Checkpoint, open_checkpoint  # noqa: E402
from diag.checkpoints.buffer_order import BufferOrder, written  # noqa: E402
from diag.checkpoints.signatures.directions import FULL, ORDERS, Sample, directions_of  # noqa: E402
from diag.checkpoints.signatures.fresh import as_even_as_fresh  # noqa: E402
from diag.checkpoints.signatures.layout import LayoutScore, correlate, facing_matrices, judge  # noqa: E402
from diag.checkpoints.signatures.rotary import pairing  # noqa: E402

GROUPS = {"attention": ("q", "k", "v", "o", "qkv"), "MLP": ("gate", "up", "down", "gate_up")}
SHARES, DRAWS = (0.10, 0.25, 0.50, 0.75), 10


def variation(m: np.ndarray) -> float:
    """Coefficient of variation of the row norms, in units of a fresh Gaussian's, 1/√(2d)."""
    norms = np.linalg.norm(m.astype(np.float64), axis=1)
    return float(norms.std() / norms.mean() * math.sqrt(2 * m.shape[1]))


def even(m: np.ndarray) -> bool:
    """What the audit asks of the norms of a fresh matrix."""
    rows, columns = (np.einsum("rc,rc->r", x, x, dtype=np.float64) for x in (m, m.T))
    return as_even_as_fresh(SimpleNamespace(row_squares=rows, column_squares=columns))


class Plants:
    """Every matrix of a model in all variants, correlated once; `scores` judges any mixture of them."""

    SOUND, COLUMN_MAJOR, UNDO_COLUMN_MAJOR, GAUSSIAN, UNIFORM, OTHER_GAUSSIAN = range(6)

    def __init__(self, checkpoint: Checkpoint, rng: np.random.Generator, sample: Sample) -> None:
        self.matrices = facing_matrices(checkpoint)
        self.roles = np.array([m.role for m in self.matrices])
        found: list[list[np.ndarray]] = []
        self.variations: list[float] = []
        self.even: list[list[bool]] = []  # of a matrix as it is, and of its fresh variants
        for matrix in self.matrices:
            values = checkpoint.float32(matrix.tensor)
            self.variations.append(variation(values))
            rows = [directions_of(written(values, order), matrix.side, sample=sample) for order in ORDERS]
            self.even.append([even(values)])
            for draw in (rng.standard_normal, rng.random, rng.standard_normal):
                fresh = draw(values.shape, np.float32) - (0.5 if draw == rng.random else 0.0)
                rows.append(directions_of(fresh, matrix.side, sample=sample))
                self.even[-1].append(even(fresh))
            found.append(rows)
        stacked = np.array(found)  # [matrices, variants, orders, pairs]
        count, variants_, orders, self.pairs = stacked.shape
        self.together = correlate(stacked.reshape(count, variants_ * orders, self.pairs)).reshape(
            (count, variants_, orders) * 2
        )

    def scores(self, variant: np.ndarray) -> tuple[LayoutScore, ...]:
        """variant: int [matrices]."""
        each = np.arange(len(self.matrices))
        mixed = self.together[each, variant][:, :, each, variant]  # [matrices, orders, matrices, orders]
        return judge(mixed, self.pairs, self.matrices)


def query_key(checkpoint: Checkpoint) -> list[tuple[np.ndarray, np.ndarray]]:
    """(q [heads, rotated rows, width], k [kv heads, …]) of each layer; nothing for a model without rotary."""
    config, known, found = checkpoint.raw_config, checkpoint.config, []
    if config["model_type"] == "gpt2":
        return []
    heads, width, kv, rows = known.num_heads, known.hidden_size, known.num_kv_heads, known.head_dim
    for i in range(known.num_layers):
        if config["model_type"] == "gpt_neox":
            fused = checkpoint.float32(f"gpt_neox.layers.{i}.attention.query_key_value.weight")
            by_head = fused.reshape(heads, 3, rows, width)
            rotated = int(rows * (config.get("rotary_pct") or config["rope_parameters"]["partial_rotary_factor"]))
            found.append((by_head[:, 0, :rotated], by_head[:, 1, :rotated]))
            continue
        prefix = f"model.layers.{i}.self_attn."
        if config["model_type"] == "phi3":
            q, k = np.split(checkpoint.float32(prefix + "qkv_proj.weight")[: (heads + kv) * rows], [heads * rows])
        else:
            q, k = (checkpoint.float32(f"{prefix}{c}_proj.weight") for c in "qk")
        found.append((q.reshape(heads, rows, width), k.reshape(kv, rows, width)))
    return found


def adjacent(x: np.ndarray) -> np.ndarray:
    """Rows of halves order put in adjacent-pair order, as the original Llama and GGUF have them."""
    return x.reshape(len(x), 2, x.shape[1] // 2, -1).swapaxes(1, 2).reshape(x.shape)


def rotary(layers: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> dict[str, Any]:
    """Scores as published, permuted, permuted twice, half permuted, and never trained."""
    cases = {
        "as published": layers,
        "adjacent": [(adjacent(q), adjacent(k)) for q, k in layers],
        "permuted twice": [(adjacent(adjacent(q)), adjacent(adjacent(k))) for q, k in layers],
        "only k permuted": [(q, adjacent(k)) for q, k in layers],
        "only q permuted": [(adjacent(q), k) for q, k in layers],
        "untrained": [(rng.normal(size=q.shape), rng.normal(size=k.shape)) for q, k in layers],
    }
    return {name: vars(score) for name, case in cases.items() if (score := pairing(case))}


def measure(task: tuple[Path, Sample]) -> dict[str, Any]:
    """Everything about one model, as plain data."""
    path, sample = task
    # Every model draws its own random numbers, or those of one shape would all see the same.
    checkpoint, rng = open_checkpoint(path), np.random.default_rng(zlib.crc32(path.name.encode()))
    plants = Plants(checkpoint, rng, sample)
    roles, count = plants.roles, len(plants.matrices)
    tally: dict[str, list[int]] = defaultdict(lambda: [0] * 6)

    def plant(group: str, chosen: np.ndarray, forms: tuple[int, ...] = (1, 2, 0)) -> None:
        for form in forms:  # 0: either, at random
            variant = np.zeros(count, int)
            variant[chosen] = form or rng.integers(1, 3, len(chosen))
            for score, planted in zip(plants.scores(variant), variant, strict=True):
                named = score.suspicious and planted and score.other in (ORDERS[planted], *square(score))
                row = [
                    planted > 0,
                    planted > 0 and score.suspicious,
                    named,
                    not planted,
                    not planted and score.suspicious,
                    planted > 0 and score.decided not in (None, ORDERS[planted], *square(score)),
                ]
                tally[group] = [a + int(b) for a, b in zip(tally[group], row, strict=True)]

    def square(score: LayoutScore) -> tuple[BufferOrder, ...]:
        shape = checkpoint.info(score.tensor).shape
        return ORDERS if shape[0] == shape[1] else ()

    sound = plants.scores(np.zeros(count, int))
    for at in range(count):
        plant(f"one {roles[at]}", np.array([at]), (1, 2))
    for role in dict.fromkeys(roles):
        plant(f"every {role}", np.flatnonzero(roles == role))
    for group, members in GROUPS.items():
        plant(group, np.flatnonzero(np.isin(roles, members)))
    plant("everything", np.arange(count))
    for share in SHARES:
        for _ in range(DRAWS):
            plant(f"random {share:.0%}", rng.permutation(count)[: max(1, round(share * count))])

    fresh = []
    for at in range(count):
        for kind in (plants.GAUSSIAN, plants.UNIFORM):
            score = plants.scores(np.where(np.arange(count) == at, kind, 0))[at]
            found = score.undecided and plants.even[at][kind - 2]
            fresh.append((roles[at], max(score.as_read, score.other_order) / score.noise, found))
    untrained = [plants.scores(np.full(count, kind)) for kind in (plants.GAUSSIAN, plants.UNIFORM)]
    return {
        "model": path.name if path.name != "healthy" else "demo (qwen2)",
        "width": checkpoint.config.hidden_size,
        "sound": [
            (s.role, s.as_read / s.noise, s.other_order / s.noise, s.suspicious, s.undecided, v, s.undecided and e[0])
            for s, v, e in zip(sound, plants.variations, plants.even, strict=True)
        ],
        "tally": dict(tally),
        "fresh": fresh,
        "untrained": [sum(s.suspicious for s in scores) for scores in untrained],
        "untrained_decided": [sum(not s.undecided for s in scores) for scores in untrained],
        "rotary": rotary(query_key(checkpoint), rng),
    }


def main() -> None:
    """Measure all models side by side and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, help="everything that was measured, as JSON")
    parser.add_argument("--dimensions", type=int, default=FULL.dimensions, help="residual dimensions sampled")
    parser.add_argument("--vectors", type=int, default=FULL.vectors, help="vectors sampled along the other side")
    options = parser.parse_args()
    tasks = [(path, Sample(options.dimensions, options.vectors)) for path in options.models]
    cores = os.cpu_count() or 1
    workers = min(cores, len(options.models))
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(max(1, cores // workers))
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        models = pool.map(measure, tasks, chunksize=1)
    report(models)
    if options.out:
        options.out.write_text(json.dumps(models, default=lambda x: x.item() if hasattr(x, "item") else str(x)) + "\n")


if __name__ == "__main__":
    main()
