"""The tie status is read from bytes; the flag in config.json only says what was declared."""

from __future__ import annotations

import numpy as np
import pytest
from checkpoint_samples import EMBEDDING, HEAD, Build, healthy_tensors

from diag.checkpoints import tie_status
from diag.checkpoints.buffer_order import BufferOrder
from diag.checkpoints.passes import scan

E = healthy_tensors()[EMBEDDING]
OTHER = healthy_tensors(seed=1)[EMBEDDING]
EMPTY = np.zeros((0, 64), np.float32)


@pytest.mark.parametrize(
    ("head", "declared", "status"),
    [
        (None, True, "tied_absent"),
        (None, False, "missing"),
        (E, True, "tied_copy"),
        (E, False, "untied_copy"),
        (OTHER, True, "tied_diverged"),
        (OTHER, False, "untied"),
        (EMPTY, True, "placeholder"),
        (EMPTY, False, "placeholder"),
        (np.ascontiguousarray(E.T).reshape(E.shape), True, "reinterpreted_copy"),
        (np.ascontiguousarray(E.reshape(64, 150).T), True, "reinterpreted_copy"),
        (np.ascontiguousarray(E.T).reshape(E.shape), False, "reinterpreted_copy"),
        (np.ascontiguousarray(E.T), False, "reinterpreted_copy"),
        (E * np.float32(1 + 1e-3), True, "tied_rounded"),
        (E * np.float32(1 + 1e-3), False, "tied_rounded"),
        (E * np.float32(1 + 1e-2), True, "tied_diverged"),
        (np.where(np.arange(150)[:, None] == 70, OTHER, E), True, "tied_diverged"),  # one row is enough
    ],
)
def test_status(build: Build, head: np.ndarray | None, declared: bool, status: str) -> None:
    tie = tie_status(build({} if head is None else {HEAD: head}, tie_word_embeddings=declared))
    assert (tie.status, tie.declared) == (status, declared)
    assert tie.sentence.endswith(".")


@pytest.mark.parametrize("order", [BufferOrder.COLUMN_MAJOR, BufferOrder.UNDO_COLUMN_MAJOR])
def test_a_head_in_another_order_names_the_order_that_makes_it_the_embedding(build: Build, order: BufferOrder) -> None:
    column_by_column, read_twice = (
        np.ascontiguousarray(E.T).reshape(E.shape),
        np.ascontiguousarray(E.reshape(64, 150).T),
    )
    head = column_by_column if order is BufferOrder.COLUMN_MAJOR else read_twice
    assert tie_status(build({HEAD: head})).order is order
    assert tie_status(build({HEAD: OTHER})).order is None


def test_no_embedding_at_all_is_not_applicable(build: Build) -> None:
    assert tie_status(build(drop=(EMBEDDING,))).status == "not_applicable"


def test_a_silent_config_means_the_family_default(build: Build) -> None:
    tie = tie_status(build(tie_word_embeddings=None))
    assert (tie.status, tie.declared) == ("missing", None)


def test_numbers_of_a_diverged_head(build: Build) -> None:
    head = E.copy()
    head[0] *= -1
    head[7, 3] += 0.5
    tie = tie_status(build({HEAD: head}))
    assert tie.max_abs_diff == pytest.approx(max(0.5, 2 * float(np.abs(E[0]).max())))
    assert tie.equal_rows_share == pytest.approx(148 / 150)
    cosine_7 = E[7] @ head[7] / np.linalg.norm(E[7]) / np.linalg.norm(head[7])
    assert tie.cosine == pytest.approx((148 - 1 + cosine_7) / 150, abs=1e-6)


def test_nan_in_both_copies_is_still_a_copy(build: Build) -> None:
    odd = E.copy()
    odd[0, 0] = np.nan
    assert tie_status(build({EMBEDDING: odd, HEAD: odd.copy()})).status == "tied_copy"


def test_a_head_of_another_shape_has_no_numbers(build: Build) -> None:
    tie = tie_status(build({HEAD: OTHER[:10].copy()}))
    assert (tie.status, tie.max_abs_diff, tie.cosine) == ("tied_diverged", None, None)


SWAPPED = E.view(np.uint32).byteswap().view(np.float32)


@pytest.mark.parametrize("declared", [True, False])
def test_the_head_in_the_other_byte_order(build: Build, declared: bool) -> None:
    tie = tie_status(build({HEAD: SWAPPED}, tie_word_embeddings=declared))
    assert tie.status == "reinterpreted_copy" and "bytes swapped" in tie.sentence
    assert tie.order is None  # no order of the matrix undoes it


def test_two_types_are_compared_as_float32(build: Build) -> None:
    half = E.astype(np.float16)
    embedding = half.astype(np.float32)
    assert tie_status(build({EMBEDDING: embedding, HEAD: half})).status == "tied_copy"
    other = np.ascontiguousarray(half.T).reshape(half.shape)
    assert tie_status(build({EMBEDDING: embedding, HEAD: other})).status == "reinterpreted_copy"


def test_an_unknown_architecture_is_looked_up_by_usual_names(build: Build) -> None:
    unknown = {"architectures": ["NovelForCausalLM"], "model_type": "novel"}
    assert tie_status(build({HEAD: E.copy()}, tie_word_embeddings=False, **unknown)).status == "untied_copy"
    assert tie_status(build({HEAD: OTHER}, **unknown)).status == "tied_diverged"
    assert tie_status(build(drop=(EMBEDDING,), **unknown)).status == "not_applicable"


def test_compiled_and_numpy_agree(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    head = OTHER.copy()
    head[:50] = E[:50]
    slow = tie_status(build({HEAD: head}))
    monkeypatch.setattr(scan, "COMPILED_FROM", 0)
    fast = tie_status(build({HEAD: head}))
    assert slow.equal_rows_share == fast.equal_rows_share == pytest.approx(1 / 3)
    assert slow.cosine == pytest.approx(fast.cosine) and slow.max_abs_diff == fast.max_abs_diff


def test_two_roundings_of_one_matrix(build: Build) -> None:
    half = E.astype(np.float16).astype(np.float32)
    tie = tie_status(build({HEAD: half}, tie_word_embeddings=False))
    assert (tie.status, tie.declared) == ("tied_rounded", False) and "trained head may be lost" in tie.sentence
    trained_on = half + np.float32(2e-3) * OTHER / np.abs(OTHER).max()  # as an optimiser moves it: by size, not share
    assert tie_status(build({HEAD: trained_on}, tie_word_embeddings=False)).status == "untied"


@pytest.mark.parametrize("head", [None, E, OTHER, E * np.float32(1 + 1e-3)])
@pytest.mark.parametrize("family", [{}, {"architectures": ["GemmaForCausalLM"], "model_type": "gemma"}])
def test_nothing_is_as_declared_where_nothing_was(
    build: Build, head: np.ndarray | None, family: dict[str, object]
) -> None:
    tie = tie_status(build({} if head is None else {HEAD: head}, tie_word_embeddings=None, **family))
    assert tie.declared is None and "declared" not in tie.sentence and "othing says" in tie.sentence
