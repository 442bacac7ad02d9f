"""Matrices read in the wrong order are told from their norm profiles, one at a time or all at once."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_samples import Build, healthy_tensors

from diag.checkpoints import layout_scores
from diag.checkpoints.profiles import profiles

HEALTHY = healthy_tensors()
MATRICES = [name for name, values in HEALTHY.items() if values.ndim == 2]


def column_major(values: np.ndarray) -> np.ndarray:
    """The buffer written column-major, under the same shape; `reread` undoes it."""
    return np.ascontiguousarray(values.T).reshape(values.shape)


def rewritten(values: np.ndarray) -> np.ndarray:
    """The row-major buffer taken for column-major and written again; `rewritten` undoes it."""
    return np.ascontiguousarray(values.reshape(values.shape[::-1]).T)


def suspects(build: Build, names: list[str], misread: object) -> dict[str, str]:
    scores = layout_scores(build({name: misread(HEALTHY[name]) for name in names}))  # type: ignore[operator]
    return {s.tensor: s.reading for s in scores if s.suspicious}


def test_a_healthy_file_has_no_suspects(build: Build) -> None:
    scores = layout_scores(build())
    assert len(scores) == len(MATRICES)
    assert not any(s.suspicious for s in scores)
    assert all(s.as_read > s.other_order for s in scores)


@pytest.mark.parametrize("part", [*"qkvo", "gate", "up", "down", "mlp", "attn", "embed", "model"])
@pytest.mark.parametrize("misread", [column_major, rewritten])
def test_misread_roles_are_found_and_nothing_else(build: Build, part: str, misread: object) -> None:
    names = [
        name
        for name in MATRICES
        if f"{part}_proj" in name or (part in ("mlp", "attn", "embed", "model") and part in name)
    ]
    found = suspects(build, names, misread)
    assert set(found) == set(names)
    square = {name for name in names if HEALTHY[name].shape == (64, 64)}
    assert {found[n] for n in names if n not in square} <= {"reread" if misread is column_major else "rewritten"}


@pytest.mark.parametrize("name", MATRICES[:8])
def test_a_single_misread_matrix_is_found(build: Build, name: str) -> None:
    assert set(suspects(build, [name], column_major)) == {name}


def test_an_untrained_model_gives_no_suspects(build: Build) -> None:
    rng = np.random.default_rng(0)
    fresh = {name: rng.normal(0, 0.02, HEALTHY[name].shape).astype(np.float32) for name in MATRICES}
    assert not any(s.suspicious for s in layout_scores(build(fresh)))


def test_too_little_to_compare(build: Build) -> None:
    assert layout_scores(build(drop=tuple(MATRICES[3:]))) == ()
    broken = {name: np.full_like(HEALTHY[name], np.nan) for name in MATRICES}
    assert not any(s.suspicious for s in layout_scores(build(broken)))


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
