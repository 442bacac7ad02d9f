"""8-bit weights read with their scales, against torch's own conversion and DeepSeek-V3's rule: number times scale."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from diag.checkpoints import audit_checkpoint, open_checkpoint
from diag.checkpoints.dtypes import DTYPES
from diag.checkpoints.scales import block_of, weight_of

WEIGHT = "model.layers.0.mlp.gate_proj.weight"


@pytest.mark.parametrize(
    ("name", "kind"), [("F8_E4M3", torch.float8_e4m3fn), ("F8_E5M2", torch.float8_e5m2), ("F8_E8M0", None)]
)
def test_every_byte_means_what_torch_says(name: str, kind: torch.dtype | None) -> None:
    codes = np.arange(256, dtype=np.uint8)
    wanted = torch.from_numpy(codes).view(kind or torch.float8_e8m0fnu).float().numpy()
    np.testing.assert_array_equal(DTYPES[name].floats(codes, (256,)), wanted)


def scaled(weight: torch.Tensor, scale: torch.Tensor) -> np.ndarray:
    """What the stored weight stands for: each element times the scale of its block."""
    rows, columns = weight.shape
    if scale.numel() == 1:
        return (weight.float() * scale.float().reshape(())).numpy()
    if scale.shape[0] == rows:
        return (weight.float() * scale.float().reshape(-1, 1)).numpy()
    wide = scale.float().repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :columns]
    return (weight.float() * wide).numpy()


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2])
@pytest.mark.parametrize(
    ("ending", "shape", "of"),
    [
        ("_scale_inv", (3, 2), torch.float32),  # DeepSeek-V3: blocks of 128 x 128, the last ones smaller
        ("_scale_inv", (3, 2), torch.bfloat16),
        ("_scale", (), torch.float32),
        ("_scale", (1,), torch.bfloat16),
        ("_scale", (300, 1), torch.float32),  # compressed-tensors: one a row
        ("_scale", (300,), torch.float32),
    ],
)
def test_a_scale_is_applied_and_is_no_tensor_of_the_model(
    tmp_path: Path, ending: str, shape: tuple[int, ...], of: torch.dtype, kind: torch.dtype
) -> None:
    torch.manual_seed(0)
    weight, scale = torch.randn(300, 200).to(kind), (torch.rand(shape) + 0.5).to(of)
    save_file(
        {WEIGHT: weight, WEIGHT + ending: scale, "other.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors"
    )
    checkpoint = open_checkpoint(tmp_path / "model.safetensors")
    assert set(checkpoint.tensors) == {WEIGHT, "other.weight"}
    wanted = scaled(weight, scale)
    np.testing.assert_array_equal(checkpoint.float32(WEIGHT), wanted)
    pieces = [rows for _, rows in checkpoint.row_chunks(WEIGHT)]
    np.testing.assert_array_equal(np.concatenate(pieces), wanted)


def test_blocks_of_another_size_are_those_of_config_json(tmp_path: Path) -> None:
    weight, scale = torch.full((100, 100), 2.0).to(torch.float8_e4m3fn), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    save_file({WEIGHT: weight, WEIGHT + "_scale_inv": scale}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"weight_block_size": [64, 64]}}))
    found = open_checkpoint(tmp_path).float32(WEIGHT)
    assert found[63, 63] == 2 and found[63, 64] == 4 and found[64, 63] == 6 and found[99, 99] == 8


def test_a_scale_that_does_not_fit_is_not_applied() -> None:
    assert block_of((300, 200), (3, 2)) == (128, 128) and block_of((300, 200), (1, 1)) == (300, 200)
    assert block_of((300, 200), (2, 3)) is None and block_of((300, 200), (200,)) is None
    assert block_of((256, 256), (4, 2), [64, 128]) == (64, 128) and block_of((256, 256), (4, 2)) == (64, 128)
    assert block_of((256, 256), (2, 2), ["x", -1]) == (128, 128)
    assert weight_of("a.weight_scale_inv") == "a.weight" and weight_of("a.input_scale") is None


def test_a_missing_and_a_misfitting_scale_are_named_and_the_numbers_are_read_as_they_are(tmp_path: Path) -> None:
    names = [f"model.layers.{i}.mlp.gate_proj.weight" for i in range(3)]
    codes = torch.linspace(-448, 448, 300 * 200).reshape(300, 200).to(torch.float8_e4m3fn)
    small = (torch.randn(300, 200) * 0.05).to(torch.float8_e4m3fn)  # cast without a scale: nothing is missing
    saved = {names[0]: codes, names[1]: codes.clone(), names[1] + "_scale_inv": torch.ones(2, 3), names[2]: small}
    save_file(saved, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path / "model.safetensors")
    assert checkpoint.float32(names[0]).max() == 448
    found = {f.tensor: f for f in audit_checkpoint(checkpoint).findings if f.code.startswith("scale")}
    assert set(found) == {names[0], names[1]} and {f.severity for f in found.values()} == {"error"}
    assert "the file holds none" in found[names[0]].message
    assert "[2, 3] for [300, 200]" in found[names[1]].message
