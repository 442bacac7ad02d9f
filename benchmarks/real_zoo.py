"""Defects planted in three published models, and how often the tool is right: `python -m diag.zoo` for each of them.

    python benchmarks/real_zoo.py [--cache DIR] [--only NAME …] [options of diag.zoo: --cases 10 --modes none,twin]

The models are dequantised to bfloat16 first, beside the packages' files (0.3 to 1.3 GB each). Hours on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import platformdirs
from real_models import MODELS, ROOT, dequantised, real_models

CASES = ("--cases", "10", "--controls", "2", "--modes", "none,twin", "--window", "2x4x64", "--held-out")


def main() -> int:
    """Exit code: the first that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = Path(platformdirs.user_cache_dir("subrandom", appauthor=False)) / "real"
    parser.add_argument("--cache", type=Path, default=cache, help="where packages, models and shards are kept")
    parser.add_argument("--only", nargs="*", default=(), help=", ".join(row.name for row in MODELS))
    parser.add_argument("--text", choices=("python", "english"), default="python")
    options, more = parser.parse_known_args()
    for model in real_models(options.cache, options.only):
        folder = options.cache / model.name / "bf16"
        if not (folder / "model.safetensors").exists():
            dequantised(model, folder)
        print(f"\n{model.name}, {options.text}", flush=True)
        work = options.cache / model.name / "zoo"
        given = ("--models", folder, "--shard", model.shards[options.text], "--work", work)
        command = [sys.executable, "-m", "diag.zoo", *map(str, given), *CASES, *more]  # the later option counts
        if code := subprocess.run(command, cwd=ROOT, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
