"""Values that a quantiser left: found in every stored type that keeps them apart, and in no trained matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from siblings import alternate

from diag.checkpoints import open_checkpoint
from diag.checkpoints.ggml import rounded
from diag.checkpoints.signatures.grid import grid_bits, on_grid, written_as

MODELS = sorted(path.parent for path in (Path(__file__).parents[1] / "zoo" / "models").glob("*/config.json"))
AS = {"F32": np.float32, "F16": np.float16}


def stored(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype != "BF16":
        return values.astype(AS[dtype]).astype(np.float32)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)


@pytest.fixture(scope="module")
def trained() -> np.ndarray:
    values: np.ndarray = open_checkpoint(MODELS[0]).float32("model.embed_tokens.weight")
    assert values.shape[1] % 32 == 0
    return values


@pytest.mark.parametrize("folder", alternate(MODELS, 0), ids=lambda path: path.name)
def test_no_trained_matrix_stands_on_a_grid(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    matrices = [info for info in checkpoint.tensors.values() if len(info.shape) == 2]
    for info in matrices:
        values = checkpoint.float32(info.name)
        for dtype in ("F32", "F16", "BF16"):
            assert grid_bits(stored(values, dtype), dtype) is None, (info.name, dtype)
    assert len(matrices) >= 20


@pytest.mark.parametrize(
    ("kind", "bits", "dtypes"),
    [
        ("Q4_0", 4, ("F32", "F16", "BF16")),
        ("Q4_1", 4, ("F32", "F16", "BF16")),
        ("Q5_0", 5, ("F32", "F16", "BF16")),
        ("Q5_1", 5, ("F32", "F16", "BF16")),
        ("Q8_0", 8, ("F32",)),  # 16 bits round as much as its steps
    ],
)
def test_a_dequantised_matrix_does_and_its_writer_is_told(
    trained: np.ndarray, kind: str, bits: int, dtypes: tuple[str, ...]
) -> None:
    left = rounded(trained, kind)
    assert left is not None
    for dtype in dtypes:
        found = stored(left, dtype)
        assert grid_bits(found, dtype) == bits
        assert grid_bits(np.ascontiguousarray(found.T), dtype) == bits  # as Conv1D stores it
        assert written_as(found, trained, bits, lambda x, y: np.allclose(x, y, rtol=2.0**-8, atol=0)) == kind
        assert written_as(found, trained * 1.1, bits, lambda x, y: np.allclose(x, y, rtol=2.0**-8, atol=0)) is None


def test_levels_of_a_table_are_counted(trained: np.ndarray) -> None:
    """NF4: sixteen levels, not evenly spaced, times the largest of 64."""
    table = np.tanh(np.linspace(-1.2, 1.2, 16)).astype(np.float32)
    blocks = trained.reshape(-1, 32)
    largest = np.abs(blocks).max(axis=1, keepdims=True)
    nearest = np.abs((blocks / largest)[..., None] - table).argmin(-1)
    assert grid_bits(stored((table[nearest] * largest).reshape(trained.shape), "BF16"), "BF16") == 4


def test_a_few_equal_values_are_no_grid(trained: np.ndarray) -> None:
    half = trained.copy()
    half[: len(half) // 2] = rounded(trained[: len(half) // 2], "Q4_0")
    assert grid_bits(half, "F32") is None  # half of the matrix only
    assert grid_bits(np.where(np.abs(trained) < np.median(np.abs(trained)), 0, trained), "F32") is None  # pruned
    assert grid_bits(np.zeros((512, 160), np.float32), "F32") is None


@pytest.mark.parametrize("loss", [0.02, 0.08])
def test_a_grid_loses_what_it_is_told_to(trained: np.ndarray, loss: float) -> None:
    left = on_grid(trained, loss)
    assert np.linalg.norm(left - trained) / np.linalg.norm(trained) == pytest.approx(loss, rel=0.1)
    assert on_grid(trained[:, :-1], loss) is not left and np.array_equal(
        on_grid(trained[:, :-1], loss), trained[:, :-1]
    )
