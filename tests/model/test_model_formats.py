"""One trained checkpoint in every format: the same family, the same tie, the same loss."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from diag.checkpoints import open_checkpoint, tie_status
from diag.model.build import build
from diag.model.trace import measure
from diag.shards import open_shard

sys.path.insert(0, str(Path(__file__).parents[1] / "checkpoints"))
import apr_samples
import gguf_samples

METADATA = {
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "vocab_size": "vocab_size",
    "intermediate_size": "intermediate_size",
    "rms_norm_eps": "rms_norm_eps",
    "rope_theta": "rope_theta",
}


def torch_bin(healthy: Path, folder: Path) -> Path:
    shutil.copy(healthy / "config.json", folder)
    torch.save(load_file(healthy / "model.safetensors"), folder / "pytorch_model.bin")
    return folder


def torch_legacy(healthy: Path, folder: Path) -> Path:
    shutil.copy(healthy / "config.json", folder)
    state = {f"module.{name}": value for name, value in load_file(healthy / "model.safetensors").items()}
    torch.save({"state_dict": state}, folder / "last.pt", _use_new_zipfile_serialization=False)
    return folder / "last.pt"


def sharded(healthy: Path, folder: Path) -> Path:
    AutoModelForCausalLM.from_pretrained(healthy, dtype=torch.bfloat16).save_pretrained(folder, max_shard_size="4MB")
    return folder


def gguf(healthy: Path, folder: Path) -> Path:
    model = AutoModelForCausalLM.from_pretrained(healthy, dtype=torch.float32)
    values = {name: value.float().numpy() for name, value in load_file(healthy / "model.safetensors").items()}
    return gguf_samples.export(folder / "m.gguf", model.config.to_dict(), values)


def apr(healthy: Path, folder: Path) -> Path:
    config = json.loads((healthy / "config.json").read_text())
    tensors = load_file(healthy / "model.safetensors")
    written = {name: apr_samples.stored(value.float().numpy(), "BF16") for name, value in tensors.items()}
    metadata = {ours: config[theirs] for ours, theirs in METADATA.items()} | {"architecture": "LlamaForCausalLM"}
    (folder / "m.apr").write_bytes(apr_samples.apr(written, metadata))
    return folder / "m.apr"


@pytest.mark.parametrize("write", [torch_bin, torch_legacy, sharded, gguf, apr])
def test_the_loss_does_not_depend_on_the_format(
    write: Callable[[Path, Path], Path], healthy: Path, shard: Path, tmp_path: Path
) -> None:
    ids = open_shard(shard).ids(0, 0, 4 * 129).astype(np.int64).reshape(4, 129)

    def loss(path: Path) -> float:
        loaded = build(open_checkpoint(path), device="cpu", dtype="fp32")
        assert loaded.missing == ()
        return measure(loaded, ids, lens=0).loss_nats

    path = write(healthy, tmp_path)
    checkpoint = open_checkpoint(path)
    assert checkpoint.family is not None and checkpoint.family.name == "qwen2"
    assert tie_status(checkpoint).status == "tied_absent"
    assert loss(path) == pytest.approx(loss(healthy), abs=1e-6)
