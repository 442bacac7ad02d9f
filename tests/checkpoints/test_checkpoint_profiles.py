"""Norm profiles, read piece by piece, are those of the plain formula."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_samples import Build, healthy_tensors

from diag.checkpoints.profiles import profiles

HEALTHY = healthy_tensors()


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.weight"])
def test_column_profiles_agree_with_the_plain_formula(build: Build, name: str) -> None:
    values = HEALTHY[name].astype(np.float64)
    out, width = values.shape
    for got, read in zip(
        profiles(build(), name, "columns"),
        (values, values.reshape(width, out).T, np.ascontiguousarray(values.T).reshape(out, width)),
        strict=True,
    ):
        logs = np.log(np.linalg.norm(read, axis=0))
        assert np.allclose(got, (logs - logs.mean()) / logs.std(), atol=1e-4)


def test_row_profiles_agree_with_the_plain_formula(build: Build) -> None:
    name = "model.layers.0.mlp.down_proj.weight"
    values = HEALTHY[name].astype(np.float64)
    for got, read in zip(
        profiles(build(), name, "rows"),
        (values, values.reshape(100, 64).T, np.ascontiguousarray(values.T).reshape(64, 100)),
        strict=True,
    ):
        logs = np.log(np.linalg.norm(read, axis=1))
        assert np.allclose(got, (logs - logs.mean()) / logs.std(), atol=1e-4)
