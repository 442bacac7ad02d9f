"""Folders in several files: what transformers writes, and indexes that lie or lead elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from diag.checkpoints import open_checkpoint
from diag.errors import InputError


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A tiny Llama in several .safetensors files, written by transformers."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96
    )
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path / "m", max_shard_size="100KB")
    model.save_pretrained(tmp_path / "whole")
    return tmp_path / "m"


def as_bin(folder: Path) -> None:
    """The same shards as .bin files with their index."""
    from safetensors.torch import load_file

    index = json.loads((folder / "model.safetensors.index.json").read_text())
    for name in set(index["weight_map"].values()):
        torch.save(load_file(folder / name), folder / name.replace(".safetensors", ".bin"))
        (folder / name).unlink()
    index["weight_map"] = {k: v.replace(".safetensors", ".bin") for k, v in index["weight_map"].items()}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors.index.json").unlink()


def edit(folder: Path, change: object) -> None:
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    change(index["weight_map"])  # type: ignore[operator]
    path.write_text(json.dumps(index))


@pytest.mark.parametrize("torch_files", [False, True])
def test_shards_hold_what_the_whole_file_holds(sharded: Path, torch_files: bool) -> None:
    if torch_files:
        as_bin(sharded)
    whole, parts = open_checkpoint(sharded.parent / "whole"), open_checkpoint(sharded)
    assert len(parts.files) > 2 and parts.notes == ()
    assert parts.format == ("torch" if torch_files else "safetensors")
    assert list(parts.tensors) == list(whole.tensors)
    for name in whole.tensors:
        assert np.array_equal(parts.float32(name), whole.float32(name))
    index = next(sharded.glob("*.index.json"))
    assert open_checkpoint(index).fingerprint == parts.fingerprint


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "a/b.safetensors", "", "x\0y", "a\\b.safetensors"]
)
def test_an_index_names_files_of_its_own_folder_only(sharded: Path, name: str) -> None:
    edit(sharded, lambda weights: weights.update({"lm_head.weight": name}))
    with pytest.raises(InputError, match="no name of a file beside it"):
        open_checkpoint(sharded)


def test_links_out_of_the_folder_are_not_followed_but_a_download_cache_is(sharded: Path, tmp_path: Path) -> None:
    name = json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]["lm_head.weight"]
    blobs = tmp_path / "models--x" / "blobs"
    blobs.mkdir(parents=True)
    (sharded / name).rename(blobs / "abc")
    (sharded / name).symlink_to(blobs / "abc")
    with pytest.raises(InputError, match="a link that leads out of its folder"):
        open_checkpoint(sharded)
    snapshot = tmp_path / "models--x" / "snapshots" / "rev"
    snapshot.parent.mkdir()
    sharded.rename(snapshot)
    assert "lm_head.weight" in open_checkpoint(snapshot).tensors
    (snapshot / name).unlink()
    (snapshot / name).symlink_to(name)
    with pytest.raises(InputError, match=r"cannot be read|is not there"):
        open_checkpoint(snapshot)


def test_lies_of_an_index(sharded: Path) -> None:
    names = sorted(file.name for file in sharded.glob("*.safetensors"))
    held = json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]
    edit(sharded, lambda weights: weights.pop("lm_head.weight"))
    opened = open_checkpoint(sharded)
    assert "1 tensors are in the files and not in the index." in opened.notes
    assert "lm_head.weight" in opened.tensors
    edit(sharded, lambda weights: weights.update({"ghost": names[0]}))
    with pytest.raises(InputError, match="1 tensors are in the index and not in its files, such as 'ghost'"):
        open_checkpoint(sharded)
    edit(sharded, lambda weights: weights.update({"ghost": "model-00099-of-00099.safetensors"}))
    with pytest.raises(InputError, match=r"model-00099.*it is not there"):
        open_checkpoint(sharded)
    other = next(name for name in names if name != held["model.norm.weight"])
    edit(sharded, lambda weights: (weights.pop("ghost"), weights.update({"model.norm.weight": other})))
    with pytest.raises(InputError, match=r"not in its files, such as 'model\.norm\.weight'"):
        open_checkpoint(sharded)


@pytest.mark.parametrize("text", ["{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', "[", '{"weight_map": {}}'])
def test_an_index_without_a_map_is_refused(sharded: Path, text: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(text)
    with pytest.raises(InputError):
        open_checkpoint(sharded)
