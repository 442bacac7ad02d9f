"""How many heads there are changes no shape: small models show it in their trained weights, or it is a guess."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from diag.checkpoints import open_checkpoint
from diag.checkpoints.identify.head_dim_from_rotary import head_dim_from_rotary
from diag.checkpoints.reader import Checkpoint

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
from tiny import write_tiny


@pytest.fixture(scope="module")
def random_llama(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("random")
    write_tiny("llama", folder)
    return open_checkpoint(folder)


def test_the_trained_demo_shows_its_heads(healthy: Path, tmp_path: Path) -> None:
    shutil.copy(healthy / "model.safetensors", tmp_path)
    stated, bare = open_checkpoint(healthy), open_checkpoint(tmp_path)
    for size in ("num_heads", "num_kv_heads", "head_dim", "tie_word_embeddings"):
        assert getattr(bare.config, size) == getattr(stated.config, size), size
        assert bare.sources[size] == "inferred"
    assert any("4 of width 64, as its Q and K rows show" in note for note in bare.notes)
    assert not any("heads" in note for note in stated.notes)


def test_only_the_true_width_of_the_demo_stands_out(healthy: Path) -> None:
    demo = open_checkpoint(healthy)
    assert head_dim_from_rotary(demo, 256, 256, 128) == 64
    assert head_dim_from_rotary(demo, 256, 128, 256) is None  # not its widths
    assert head_dim_from_rotary(demo, 512, 256, 128) is None


def test_untrained_weights_show_nothing_and_the_guess_is_called_one(random_llama: Checkpoint, tmp_path: Path) -> None:
    assert head_dim_from_rotary(random_llama, 64, 64, 32) is None
    shutil.copy(random_llama.path / "model.safetensors", tmp_path)
    assert any("else a guess" in note for note in open_checkpoint(tmp_path).notes)


def test_weights_that_are_no_numbers_show_nothing(random_llama: Checkpoint, tmp_path: Path) -> None:
    shutil.copy(random_llama.path / "model.safetensors", tmp_path)
    first = min(info.offset for info in random_llama.tensors.values())
    for value in (np.nan, 0.0, 3e38):
        with (tmp_path / "model.safetensors").open("r+b") as file:
            file.seek(first)
            file.write(np.full((random_llama.bytes - first) // 4, value, np.float32).tobytes())
        assert head_dim_from_rotary(open_checkpoint(tmp_path), 64, 64, 32) is None


def test_a_norm_over_one_head_needs_no_note(tmp_path: Path) -> None:
    write_tiny("qwen3", tmp_path)
    (tmp_path / "config.json").unlink()
    bare = open_checkpoint(tmp_path)
    assert bare.config.head_dim == 32 and not any("heads" in note for note in bare.notes)
