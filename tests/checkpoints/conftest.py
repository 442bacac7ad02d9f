"""build(...) writes the healthy sample with changes put over it, and opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from checkpoint_samples import CONFIG, Build, Tensors, healthy_tensors
from safetensors.numpy import save_file

from diag.checkpoints import Checkpoint, open_checkpoint


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """build(changes, drop=..., **config) writes the healthy file with `changes` put over it and opens it."""

    def make(changes: Tensors | None = None, drop: tuple[str, ...] = (), **config: Any) -> Checkpoint:
        tensors = {k: v for k, v in (healthy_tensors() | (changes or {})).items() if k not in drop}
        save_file(tensors, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps(CONFIG | config))
        return open_checkpoint(tmp_path)

    return make
