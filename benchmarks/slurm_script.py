"""The Slurm script and the merge of docs/scale.md, as they stand there, run by bash without a Slurm.

    python -m benchmarks.slurm_script

Each task of the array is one run of the script with the variables that sbatch sets, and one of them is killed first;
the merge is what `--wrap` holds. One run over the whole folder has to say the same, but for its seconds.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
FILES, IDS, ENTRIES = 20, 200_000, 5_000


def blocks() -> tuple[str, str, str]:
    """The script, its array, and the command of the merge."""
    text = DOCUMENT.read_text()
    script = re.search(r"```bash\n(#!/bin/bash.*?)```", text, re.DOTALL)
    merge = re.search(r"--wrap='(.*?)'", text)
    assert script and merge
    tasks = re.search(r"#SBATCH --array=1-(\d+)", script[1])
    assert tasks
    return script[1], tasks[1], merge[1]


def corpus(folder: Path) -> None:
    """Files of ids that follow Zipf's law."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    for number in range(FILES):
        np.save(folder / f"{number:03}.npy", np.minimum(rng.zipf(1.3, IDS), ENTRIES - 1).astype("<u2"))


def main() -> int:
    """Run all of it."""
    script, tasks, merge = blocks()
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        corpus(here / "corpus")
        tokenizer = DOCUMENT.parents[1] / "data" / "demo" / "checkpoints" / "healthy"
        for folder in ("parts", "bin"):
            (here / folder).mkdir()
        (here / "count.sh").write_text(script)
        command = here / "bin" / "subrandom"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m diag "$@"\n')
        command.chmod(0o755)
        env = {
            **os.environ,
            "PATH": f"{here / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(DOCUMENT.parents[1]),
            "CORPUS": str(here / "corpus"),
            "TOKENIZER": str(tokenizer),
            "PARTS": str(here / "parts"),
            "SUBRANDOM_CACHE": str(here / "cache"),
            "SLURM_ARRAY_TASK_COUNT": tasks,
        }

        def bash(*words: str, **more: str) -> int:
            return subprocess.run(["bash", *words], cwd=here, env={**env, **more}, check=False).returncode

        for task in range(1, int(tasks) + 1):
            if task == 3:  # this one is killed first
                killed = subprocess.Popen(
                    ["bash", "count.sh"], cwd=here, env={**env, "SLURM_ARRAY_TASK_ID": "3"}, start_new_session=True
                )
                time.sleep(0.5)
                os.killpg(killed.pid, signal.SIGKILL)  # bash and what it runs
                killed.wait()
                assert not (here / "parts" / "part-3.zip").exists()
            assert bash("count.sh", SLURM_ARRAY_TASK_ID=str(task)) == 0, f"task {task}"
        code = bash("-c", merge)
        one = subprocess.run(
            [str(command), "shard", env["CORPUS"], "--tokenizer", str(tokenizer), "--gate-below", "9.38", "--json"],
            cwd=here,
            env={**env, "SUBRANDOM_CACHE": str(here / "empty")},  # the files' own "cached" says where counts come from
            capture_output=True,
            text=True,
            check=False,
        )
        merged, whole = (json.loads(text) for text in ((here / "audit.json").read_text(), one.stdout))
        for each in (merged, whole):
            each.pop("seconds")
        different = [key for key in {**merged, **whole} if merged.get(key) != whole.get(key)]
        print(f"{tasks} tasks, exit codes {code} and {one.returncode}; different but for seconds: {different}")
        return int(merged != whole or code != one.returncode)


if __name__ == "__main__":
    sys.exit(main())
