"""Weight files beside those that are read: parts that no index names, and second generations of the weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from diag.checkpoints import CheckpointAudit, audit_checkpoint, open_checkpoint

LAST = "model.layers.5."


@pytest.fixture
def parts(healthy: Path, tmp_path: Path) -> Callable[..., Path]:
    """parts(suffix): the trained model in three numbered files, whose index names all; the third is its last layer."""

    def make(suffix: str = ".safetensors") -> Path:
        source = open_checkpoint(healthy)
        held: dict[int, dict[str, np.ndarray]] = {1: {}, 2: {}, 3: {}}
        for number, name in enumerate(source.tensors):
            held[3 if name.startswith(LAST) else 1 + number % 2][name] = source.float32(name)
        stem = "model" if suffix == ".safetensors" else "pytorch_model"
        listed = {}
        for part, tensors in held.items():
            file = tmp_path / f"{stem}-{part:05}-of-00003{suffix}"
            if suffix == ".bin":
                torch.save({name: torch.from_numpy(values) for name, values in tensors.items()}, file)
            else:
                save_file(tensors, file)
            listed |= dict.fromkeys(tensors, file.name)
        (tmp_path / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": listed}))
        shutil.copy(healthy / "config.json", tmp_path)
        return tmp_path

    return make


def forget(folder: Path, part: str) -> None:
    """Take a part out of the index."""
    index = next(folder.glob("*.index.json"))
    listed = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": {n: f for n, f in listed.items() if part not in f}}))


def codes(path: Path) -> dict[str, list[str]]:
    audit: CheckpointAudit = audit_checkpoint(open_checkpoint(path))
    found: dict[str, list[str]] = {}
    for finding in audit.findings:
        found.setdefault(finding.code, []).append(finding.message + " " + finding.fix)
    return found


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_a_part_that_no_index_names_is_found_with_what_it_holds(parts: Callable[..., Path], suffix: str) -> None:
    folder = parts(suffix)
    assert not {"part_left_out", "part_unread", "two_generations", "missing_tensor"} & set(codes(folder))
    forget(folder, "-00003-of")
    audit = audit_checkpoint(open_checkpoint(folder))
    first = audit.findings[0]  # before the tensors that are missing because of it
    assert first.code == "part_left_out" and first.severity == "error"
    assert f"-00003-of-00003{suffix} holds 12 of the tensors that are missing, such as {LAST}" in first.message
    assert "no index names it" in first.message and first.fix.startswith("Write the index again from all parts")
    assert sum(finding.code == "missing_tensor" for finding in audit.findings) == 12


def test_a_part_that_was_named_alone(parts: Callable[..., Path]) -> None:
    found = codes(parts() / "model-00001-of-00003.safetensors")
    assert len(found["part_left_out"]) == 2
    assert all("one file was named and not the model. Name the folder" in text for text in found["part_left_out"])


def test_a_part_that_lacks_nothing_is_a_warning(parts: Callable[..., Path]) -> None:
    folder = parts()
    forget(folder, "-00003-of")
    (folder / "model-00003-of-00003.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "part_left_out" not in codes(folder)
    assert ["model-00003-of-00003" in text for text in codes(folder)["part_unread"]] == [True]


def test_two_generations_in_one_folder(parts: Callable[..., Path], healthy: Path) -> None:
    folder = parts()
    shutil.copy(folder / "model-00001-of-00003.safetensors", folder / "model-00001-of-00002.safetensors")
    (only,) = codes(folder)["two_generations"]
    assert only.startswith("1 file(s) of another save lie beside model-00001-of-00003.safetensors")
    shutil.copy(healthy / "model.safetensors", folder)
    (only,) = codes(folder)["two_generations"]
    assert only.startswith("4 file(s) of another save lie beside model.safetensors, which is read, such as model-")
    shutil.copy(healthy / "model.safetensors", folder / "consolidated.safetensors")
    assert codes(folder)["two_generations"] == [only]  # of another name: the same weights in another naming
