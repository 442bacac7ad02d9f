"""`python -m diag.zoo`: plants defects, tests them with and without a reference, prints how often the tool is right.

    python -m diag.zoo --models tests/zoo/models --shard data/demo/shards/stdlib --cases 300 --controls 60 --jobs 2

Every finished case is a line of WORK/results.jsonl: a run that was stopped goes on where it was. docs/zoo.md explains
the table.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from diag.errors import InputError
from diag.installation import stay_offline
from diag.zoo.bench import MODES, Options
from diag.zoo.cases import HELD_OUT
from diag.zoo.run import finished, keep, run
from diag.zoo.table import Judged, cells, faults, judged, markdown


def parser() -> argparse.ArgumentParser:
    """The options."""
    p = argparse.ArgumentParser(
        prog="python -m diag.zoo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--models", type=Path, required=True, help="a folder of healthy models, or one model")
    p.add_argument("--shard", type=Path, required=True, help="a shard in the models' tokenizer")
    p.add_argument("--work", type=Path, default=Path("cache/zoo"), help="results, and other trainings of the models")
    p.add_argument("--cases", type=int, default=300, help="how many planted cases")
    p.add_argument("--controls", type=int, default=60, help="how many sound ones")
    p.add_argument("--modes", default=",".join(MODES), help="of none, twin, relative")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--held-out", action="store_true", help="cases that nobody looked at while the rules were built")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    p.add_argument("--dtype", choices=("auto", "fp32", "bf16"), default="auto")
    p.add_argument("--window", default="4x4x64", help="batches x batch size x sequence length")
    p.add_argument("--only", default="", help="a pattern of case names")
    p.add_argument("--jobs", type=int, default=1, help="processes side by side")
    p.add_argument("--keep", type=Path, help="write the planted checkpoints here, and test nothing")
    p.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    return p


def main() -> int:
    """Exit codes: 0 printed, 2 the input cannot be used, 130 interrupted (what is done is kept)."""
    a = parser().parse_args()
    modes = tuple(a.modes.split(","))
    if unknown := set(modes) - set(MODES):
        parser().error(f"there is no mode {', '.join(sorted(unknown))}")
    seed = a.seed + (HELD_OUT if a.held_out else 0)
    options = Options(a.models, a.shard, a.work, seed, a.window, a.device, a.dtype, modes, a.only)
    try:
        if a.keep:
            keep(options, a.cases, a.controls, a.keep)
            return 0
        run(options, a.cases, a.controls, a.jobs)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    found = judged(finished(options, a.cases, a.controls))
    if a.json:
        rows = {
            words: {m: {"hits": h, "n": n} for m, (h, n) in zip(modes, row, strict=True)}
            for words, row in cells(found, modes)
        }
        print(
            json.dumps(
                {"setting": options.setting, "seed": seed, "rows": rows, "faults": faults(found, _again(options))}
            )
        )
        return 0
    print(markdown(found, modes))
    print("\n".join(["", *faults(found, _again(options))]))
    return 0


def _again(options: Options) -> Callable[[Judged], str]:
    """The command line that runs one case again."""
    o = options
    setting = f"--models {o.models} --shard {o.shard} --work {o.work} --seed {o.seed} --window {o.window}"

    def line(j: Judged) -> str:
        count, number = int(j.case[1:].split("-")[0]) + 1, j.case.split("-")[0]
        which = f"--cases {count} --controls 0" if j.case.startswith("d") else f"--cases 0 --controls {count}"
        return (
            f"python -m diag.zoo {setting} --device {o.device} --dtype {o.dtype} {which} "
            f"--modes {j.mode} --only '^{number}-'"
        )

    return line


if __name__ == "__main__":
    stay_offline()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    sys.exit(main())
