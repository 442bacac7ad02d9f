"""What is said of three published models, and their losses against llama.cpp's on the same ids.

    python benchmarks/real.py [--cache DIR] [--only NAME …] [--llama-python PATH] [--window 2x4x256]

Prints what the audit says (there should be no error or warning), the tie status, and the loss on text in Python and in
English. The loss of llama.cpp comes from the interpreter of `--llama-python`, which needs llama-cpp-python; without it
that column is empty. On a virtual machine where its default build crashes, it runs when it was built with

    CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_AVX512=OFF"

llama.cpp rounds activations to 8 bits where weights are quantised, so it is also asked with the same values in float32
(a copy of up to 2.5 GB beside the model, deleted again). Exit code 1 if anything is said that is not true of a sound
model, or the loss is off by more than 0.01 nats from that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
from real_models import MODELS, ROOT, RealModel, real_models, unquantised

sys.path.insert(0, str(ROOT))

import diag

TIES = {"smollm2-135m-q4_1": "tied_absent", "gemma3-270m-q4_k_m": "tied_absent", "qwen2.5-0.5b-q4_k_m": "tied_rounded"}
NEAR = 0.01  # nats


def audited(model: RealModel) -> bool:
    """Print what the audit says; whether nothing is false."""
    audit = diag.audit_checkpoint(diag.open_checkpoint(model.checkpoint))
    alarms = [f for f in audit.findings if f.severity != "info"]
    print(f"\n{model.name}: {len(alarms)} errors and warnings, tie {audit.tie.status} ({audit.seconds:.0f} s)")
    for finding in audit.findings:
        print(f"  {finding.severity} {finding.code}: {finding.message}")
    return not alarms and audit.tie.status == TIES[model.name]


def compared(model: RealModel, text: str, window: str, llama: Path) -> bool:
    """Print the losses; whether ours and llama.cpp's on the same values agree, or there is only ours."""
    measured = diag.measure(model.checkpoint, model.shards[text], window=window, device="cpu", dtype="fp32")
    ours = measured.baseline.loss
    nats = ours.nats if ours else float("nan")
    theirs = _of_llama(model.checkpoint, model.shards[text], window, llama)
    if theirs is None:
        print(f"  {text:8s} {nats:.4f} nats; llama.cpp is not there")
        return True
    copy = unquantised(model.checkpoint, model.checkpoint.with_suffix(".f32.gguf"))
    exact = _of_llama(copy, model.shards[text], window, llama)
    copy.unlink()
    exact = float("nan") if exact is None else exact
    print(f"  {text:8s} {nats:.4f} nats; llama.cpp {exact:.4f} ({nats - exact:+.4f}), as quantised {theirs:.4f}")
    return abs(nats - exact) <= NEAR


def _of_llama(checkpoint: Path, shard: Path, window: str, python: Path) -> float | None:
    batches, size, length = (int(n) for n in window.split("x"))
    ids = np.load(shard)[: batches * size * (length + 1)].reshape(-1, length + 1)
    task = json.dumps({"checkpoint": str(checkpoint), "ids": ids.tolist()})
    script = str(Path(__file__).with_name("llama_loss.py"))
    done = subprocess.run([str(python), script], input=task, capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 else None


def main() -> int:
    """Fetch, audit, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = Path(platformdirs.user_cache_dir("subrandom", appauthor=False)) / "real"
    parser.add_argument("--cache", type=Path, default=cache, help="where packages, models and shards are kept")
    parser.add_argument("--only", nargs="*", default=(), help=", ".join(row.name for row in MODELS))
    parser.add_argument("--llama-python", type=Path, default=Path(sys.executable), help="has llama-cpp-python")
    parser.add_argument("--window", default="2x4x256", help="batches x batch size x ids")
    options = parser.parse_args()
    sound = True
    for model in real_models(options.cache, options.only):
        sound &= audited(model)
        for text in model.shards:
            sound &= compared(model, text, options.window, options.llama_python)
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
