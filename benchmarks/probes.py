"""What norms and the logit lens add to a forward pass on a CPU, beside the same norms by nnsight where it is installed.

    python benchmarks/probes.py --model data/demo/checkpoints/healthy --rounds 9

Rounds are interleaved: every variant once a round, ratios within the round, median and spread over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from diag.checkpoints import open_checkpoint
from diag.model.blocks import blocks
from diag.model.build import build
from diag.model.loaded import LoadedModel
from diag.model.sweep import sweep
from diag.model.trace import measure
from diag.model.variants import as_loaded


def by_nnsight(loaded: LoadedModel, ids: torch.Tensor) -> Callable[[], object]:
    """The loss pass of transformers' module with three norms a layer saved."""
    from nnsight import NNsight

    wrapped = NNsight(loaded.loss)
    layers, (attention, mlp) = len(blocks(loaded.module)), loaded.updates

    def run() -> object:
        with torch.inference_mode():
            with wrapped.trace(ids):
                saved = list().save()  # noqa: C408  the object that nnsight hands back
                for i in range(layers):
                    block = wrapped.model.model.layers[i]
                    for part in (getattr(block, attention), getattr(block, mlp), block):
                        out = part.output
                        saved.append((out[0] if isinstance(out, tuple) else out).norm())
            return saved

    return run


def main() -> int:
    """Prints a table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", type=Path, default=Path("data/demo/checkpoints/healthy"))
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--window", type=int, nargs=2, default=(4, 256), help="sequences, and their length")
    a = p.parse_args()
    loaded = build(open_checkpoint(a.model), device="cpu", dtype="fp32")
    rows, seq = a.window
    host = np.random.default_rng(0).integers(0, loaded.rows, (rows, seq + 1))
    ids = torch.from_numpy(host)

    @torch.inference_mode()
    def plain() -> torch.Tensor:
        return loaded.loss(ids)

    runs: dict[str, Callable[[], object]] = {
        "transformers' module": plain,
        "bare sweep": lambda: sweep([as_loaded(loaded)], ids),
        "all norms": lambda: measure(loaded, host, lens=0),
        "norms, lens at 128": lambda: measure(loaded, host, lens=128),
        "norms, lens at 512": lambda: measure(loaded, host, lens=512),
    }
    if find_spec("nnsight"):
        other = build(open_checkpoint(a.model), device="cpu", dtype="fp32")  # nnsight changes the module that it wraps
        runs["nnsight, three norms a layer"] = by_nnsight(other, ids)
    times: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(a.rounds + 2):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if i >= 2:
                times[name].append(time.perf_counter() - started)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {rows} x {seq} ids, n = {a.rounds}")
    for name in runs:
        base = times["transformers' module" if name.startswith("nnsight") else "bare sweep"]
        ratios = [t / b for t, b in zip(times[name], base, strict=True)]
        spread = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        print(f"{name}: {statistics.median(times[name]) * 1e3:.1f} ms, {spread} of the pass")
    return 0


if __name__ == "__main__":
    sys.exit(main())
