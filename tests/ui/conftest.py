"""A small catalogue in a temporary folder: two shards, three checkpoints, no weights in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from diag.catalogue import Catalogue, scan
from diag.settings import Settings, load_settings


def checkpoint(folder: Path) -> None:
    """A folder that the catalogue takes for a checkpoint."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x" * 10)


def shard(folder: Path) -> None:
    """A folder that the catalogue takes for a shard."""
    folder.mkdir(parents=True)
    (folder / "shard-00000.bin").write_bytes(b"\0" * 16)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The demo as a root, and one root of one's own."""
    demo, runs = tmp_path / "demo", tmp_path / "runs"
    for name in ("h4a-random-head", "healthy"):
        checkpoint(demo / "checkpoints" / name)
    shard(demo / "shards" / "stdlib")
    shard(runs / "corpus")
    checkpoint(runs / "step-100")
    env = {"SUBRANDOM_DEMO": str(demo), "SUBRANDOM_ROOTS": str(runs), "SUBRANDOM_EVIDENCE": str(tmp_path / "evidence")}
    return load_settings({**env, "SUBRANDOM_CONFIG": ""})


@pytest.fixture
def demo_only(settings: Settings) -> Catalogue:
    """What a first-time user has."""
    return scan(Settings(settings.roots[:1], settings.evidence_dir, settings.demo_dir))


@pytest.fixture
def both(settings: Settings) -> Catalogue:
    """The demo and one's own files."""
    return scan(settings)
