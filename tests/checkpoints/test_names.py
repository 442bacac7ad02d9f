"""Names that fit once a prefix is taken off or layers are counted from 0, in safetensors as in torch files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from diag.checkpoints import Checkpoint, open_checkpoint

MODELS = Path(__file__).parents[1] / "zoo" / "models"
PREFIXES = (
    *("_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod.", "_fsdp_wrapped_module.", "model."),
    *("base_model.model.", "language_model.", "ema_model.", "student.", "ema_model.module.", "policy.actor."),
)
# A family whose base model has a prefix of its own, one whose has another, one that only config.json declares.
FAMILIES = ("llama", "gpt2", "gpt_neox", "mistral")


def saved(family: str, folder: Path, kind: str, state: dict[str, torch.Tensor], wrap: str = "") -> Checkpoint:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text((MODELS / family / "config.json").read_text())
    if kind == "safetensors":
        save_file(state, folder / "model.safetensors")
    else:
        torch.save({wrap: state, "step": 3} if wrap else state, folder / "pytorch_model.bin")
    return open_checkpoint(folder)


def weights(family: str) -> dict[str, torch.Tensor]:
    return load_file(MODELS / family / "model.safetensors")


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prefix_is_taken_off_and_said(family: str, prefix: str, kind: str, tmp_path: Path) -> None:
    state = weights(family)
    found = saved(family, tmp_path, kind, {prefix + name: w for name, w in state.items()})
    assert set(found.tensors) == set(state) and found.family and found.family.name == family
    assert found.naming and all(sentence in found.notes for sentence in found.naming)
    assert any(prefix.split(".")[-2] + "." in sentence for sentence in found.naming)
    assert all(info.stored == prefix + name for name, info in found.tensors.items())


@pytest.mark.parametrize("family", sorted(path.name for path in MODELS.iterdir() if path.is_dir()))
def test_sound_names_stay_as_they_are(family: str) -> None:
    found = open_checkpoint(MODELS / family)
    assert set(found.tensors) == set(weights(family)) and not found.naming


def test_wrappers_of_single_layers_are_taken_out_of_the_middle(tmp_path: Path) -> None:
    """FSDP around each block, activation checkpointing inside, torch.compile around all."""
    state = weights("llama")
    inner = "layers.{}._fsdp_wrapped_module._checkpoint_wrapped_module."
    wrapped = {}
    for name, w in state.items():
        layer = re.search(r"layers\.(\d+)\.", name)
        wrapped["_orig_mod." + (name.replace(layer[0], inner.format(layer[1])) if layer else name)] = w
    found = saved("llama", tmp_path, "safetensors", wrapped)
    assert set(found.tensors) == set(state) and len(found.naming) == 1


def test_names_that_would_collide_are_left_alone(tmp_path: Path) -> None:
    state = {"a.weight": torch.ones(1), "_orig_mod.a.weight": torch.zeros(1)}
    save_file(state, tmp_path / "model.safetensors")
    assert set(open_checkpoint(tmp_path / "model.safetensors").tensors) == set(state)


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "gemma3", "gpt2"])
def test_layers_counted_from_1_are_counted_from_0(family: str, tmp_path: Path) -> None:
    state = weights(family)
    count = open_checkpoint(MODELS / family).config.num_layers
    shifted = {}
    for name, w in state.items():
        parts = name.split(".")
        at = next((i for i, part in enumerate(parts) if part.isdigit()), None)
        if at is not None:
            parts[at] = str(int(parts[at]) + 1)
        shifted[".".join(parts)] = w
    found = saved(family, tmp_path, "safetensors", shifted)
    assert set(found.tensors) == set(state) and found.config.num_layers == count
    assert f"numbered 1 to {count}" in found.naming[0]


def test_a_first_layer_that_is_missing_is_no_matter_of_numbers(tmp_path: Path) -> None:
    state = {name: w for name, w in weights("llama").items() if ".layers.0." not in name}
    found = saved("llama", tmp_path, "safetensors", state)
    assert set(found.tensors) == set(state) and not found.naming


@pytest.mark.parametrize("key", ["model_state", "net", "ema", "weights", "params", "state_dict", "module"])
def test_a_state_dict_is_found_where_trainers_put_it(key: str, tmp_path: Path) -> None:
    state = weights("llama")
    found = saved("llama", tmp_path, "bin", state, key)
    assert set(found.tensors) == set(state) and any(f"under {key}." in note for note in found.notes)


def test_a_tensor_beside_the_state_dict_does_not_hide_it(tmp_path: Path) -> None:
    """A trainer that keeps the state of the random numbers, and an average of the weights, in the same file."""
    state = weights("llama")
    average = {name: w * 0 for name, w in state.items()}
    (tmp_path / "config.json").write_text((MODELS / "llama" / "config.json").read_text())
    whole = {"rng_state": torch.zeros(5056, dtype=torch.uint8), "ema": average, "net": {"module": state}}
    torch.save(whole, tmp_path / "pytorch_model.bin")
    found = open_checkpoint(tmp_path)
    assert set(found.tensors) == set(state) and any("under net.module." in note for note in found.notes)
    assert found.float32("model.norm.weight").any()
