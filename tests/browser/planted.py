"""A root with many checkpoints: each folder has a configuration of its own and a link to one of a few weight files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

MODELS = Path(__file__).resolve().parents[1] / "zoo" / "models"
WEIGHTS = ("gpt2", "qwen3", "llama")


def plant(root: Path, count: int) -> None:
    """`count` checkpoints below `root`, all different: a key that nothing reads is another fingerprint."""
    for name in WEIGHTS:
        shutil.copytree(MODELS / name, root / "trained" / name)
    for number in range(count - len(WEIGHTS)):
        name = WEIGHTS[number % len(WEIGHTS)]
        folder = root / f"run-{number // 100:02d}" / f"step-{number:04d}"
        folder.mkdir(parents=True)
        config = json.loads((MODELS / name / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "planted": number}))
        (folder / "model.safetensors").symlink_to(root / "trained" / name / "model.safetensors")
