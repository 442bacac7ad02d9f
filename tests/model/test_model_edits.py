"""Edits are in force for one call, compose in order, and never touch the loaded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_ids, write_tiny

from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.model.apply import norms, overrides, reread
from diag.model.build import LoadedModel, build
from diag.model.edits import (
    FROM_REFERENCE,
    OWN_BYTES,
    SAME_CHECKPOINT,
    Copy,
    FromReference,
    Reorder,
    SetEps,
    Shift,
    SkipBlock,
    borrows,
)
from diag.model.evaluate import Evaluator

GATE = "model.layers.1.mlp.gate_proj.weight"
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    write_tiny("qwen2-untied-theta", path)
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> LoadedModel:
    return build(open_checkpoint(folder), device="cpu", dtype="fp32")


def evaluator(loaded: LoadedModel, **more) -> Evaluator:  # type: ignore[no-untyped-def]
    return Evaluator(loaded, tiny_ids().numpy(), batch_size=2, **more)


def by_hand(loaded: LoadedModel, ids: torch.Tensor) -> np.ndarray:
    """Per-sequence losses from transformers' logits and float64, with whatever the module holds now."""
    with torch.inference_mode():
        logits = loaded.module(input_ids=ids[:, :-1]).logits.double()
    nll = torch.logsumexp(logits, -1) - logits.gather(-1, ids[:, 1:, None])[..., 0]
    return nll.mean(-1).numpy()


@given(st.integers(1, 7), st.integers(1, 7))
def test_the_two_readings_undo_each_other(rows: int, columns: int) -> None:
    matrix = torch.arange(rows * columns, dtype=torch.float32).view(rows, columns)
    stored_column_major = matrix.t().contiguous().view(rows, columns)
    assert torch.equal(reread(stored_column_major, "column_major"), matrix)
    read_the_other_way = matrix.view(columns, rows).t().contiguous()
    assert torch.equal(reread(read_the_other_way, "untranspose"), matrix)


def test_losses_are_the_plain_formula_per_sequence(loaded: LoadedModel) -> None:
    assert np.allclose(evaluator(loaded).losses(), by_hand(loaded, tiny_ids()), atol=1e-5)


def test_a_subset_is_the_same_sequences(loaded: LoadedModel) -> None:
    losses = evaluator(loaded)
    assert np.allclose(losses.losses(subset=[2, 0]), losses.losses()[[2, 0]], atol=1e-5)


@pytest.mark.parametrize(
    "edit",
    [
        Reorder((GATE,), "column_major"),
        Shift(("model.norm.weight",), 1.0),
        Copy(HEAD, EMBEDDING),
        SetEps(0.1),
        SkipBlock(1),
    ],
)
def test_an_edit_changes_one_call_and_nothing_else(loaded: LoadedModel, edit: object) -> None:
    before = {name: value.clone() for name, value in loaded.tensors.items()}
    plain = evaluator(loaded).losses()
    edited = evaluator(loaded).losses((edit,))
    assert np.abs(edited - plain).max() > 1e-3
    assert np.array_equal(evaluator(loaded).losses(), plain)
    assert all(torch.equal(loaded.tensors[name], value) for name, value in before.items())
    assert not any(module._forward_hooks for module in loaded.module.modules())


def test_an_edited_call_equals_a_model_that_was_really_changed(folder: Path) -> None:
    changed = build(open_checkpoint(folder), device="cpu", dtype="fp32")
    with torch.no_grad():
        changed.module.model.layers[1].mlp.gate_proj.weight.copy_(reread(changed.tensors[GATE], "column_major"))
        for norm in (m for m in changed.module.modules() if hasattr(m, "variance_epsilon")):
            norm.variance_epsilon = 0.1
    fresh = build(open_checkpoint(folder), device="cpu", dtype="fp32")
    edits = (Reorder((GATE,), "column_major"), SetEps(0.1))
    assert np.allclose(evaluator(fresh).losses(edits), by_hand(changed, tiny_ids()), atol=1e-4)


@pytest.mark.parametrize("name", ["gemma2", "olmo2", "gpt2", "gpt-neox"])
def test_another_eps_is_that_of_a_model_built_with_it(name: str, tmp_path: Path) -> None:
    """LayerNorm's bias must not be scaled with the rest, nor Gemma's 1 + w."""
    write_tiny(name, tmp_path)
    edited = evaluator(build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")).losses((SetEps(0.1),))
    changed = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    for norm, _ in norms(changed.module):
        setattr(norm, "variance_epsilon" if hasattr(norm, "variance_epsilon") else "eps", 0.1)
    assert np.allclose(edited, by_hand(changed, tiny_ids()), atol=1e-5)


def test_edits_compose_in_order(loaded: LoadedModel) -> None:
    tensors = overrides((Shift((EMBEDDING,), 1.0), Copy(HEAD, EMBEDDING)), loaded.tensors)
    assert torch.equal(tensors[HEAD], loaded.tensors[EMBEDDING] + 1.0)


def test_in_a_tied_model_the_head_follows_the_embedding(tmp_path: Path) -> None:
    write_tiny("qwen2-tied", tmp_path)
    tied = build(open_checkpoint(tmp_path), device="cpu", dtype="fp32")
    edited = evaluator(tied).losses((Shift((EMBEDDING,), 0.5),))
    with torch.no_grad():
        tied.module.model.embed_tokens.weight.add_(0.5)
    assert np.allclose(edited, by_hand(tied, tiny_ids()), atol=1e-5)


class _Source:
    def tensor(self, name: str) -> torch.Tensor:
        return torch.full((63,) if name == "model.norm.weight" else (97, 64), 7.0)


def test_a_reference_of_another_shape_is_refused_by_name(loaded: LoadedModel) -> None:
    assert float(overrides((FromReference((HEAD,)),), loaded.tensors, _Source())[HEAD].mean()) == 7.0
    with pytest.raises(InputError, match=r"model\.norm\.weight.*\(63,\).*\(64,\)"):
        overrides((FromReference(("model.norm.weight",)),), loaded.tensors, _Source())


def test_how_far_an_edit_reaches() -> None:
    assert borrows((Reorder((GATE,), "column_major"), SetEps(1.0))) == OWN_BYTES
    assert borrows((Shift((GATE,), 1.0), Copy(HEAD, EMBEDDING))) == SAME_CHECKPOINT
    assert borrows((Copy(HEAD, EMBEDDING), FromReference((HEAD,)))) == FROM_REFERENCE


def test_ids_beyond_the_rows_and_windows_beyond_the_positions_are_refused(loaded: LoadedModel) -> None:
    ids = tiny_ids().numpy().copy()
    ids[1, 5] = 97
    with pytest.raises(InputError, match=r"id 97.*97 rows"):
        Evaluator(loaded, ids, batch_size=2)
    with pytest.raises(InputError, match=r"65 positions.*64"):
        Evaluator(loaded, np.zeros((1, 66), dtype=np.int64), batch_size=1)
