"""Losses by sequence and by position, each sequence evaluated once, bit for bit what one plain pass gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_ids, write_tiny

from diag.checkpoints import open_checkpoint
from diag.errors import InputError
from diag.model.buckets import bucket_positions, bucket_sums
from diag.model.build import build
from diag.model.edits import Shift, SkipBlock
from diag.model.evaluate import Evaluator
from diag.model.loaded import LoadedModel

IDS = tiny_ids(sequences=5).numpy()
EDITS = (Shift(("model.norm.weight",), 0.5), SkipBlock(1))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    path = tmp_path_factory.mktemp("tiny")
    write_tiny("qwen2-untied-theta", path)
    return build(open_checkpoint(path), device="cpu", dtype="fp32")


def evaluator(loaded: LoadedModel, batch_size: int = 2) -> Evaluator:
    return Evaluator(loaded, IDS)


def nll(loaded: LoadedModel, batch_size: int = 2) -> torch.Tensor:
    """float64 [sequences, seq] of the checkpoint as loaded, in the evaluator's batches."""
    with torch.inference_mode():
        return torch.cat([loaded.loss(batch) for batch in torch.tensor(IDS).split(batch_size)]).double()


def test_a_sequences_loss_is_the_mean_over_its_targets_bit_for_bit(loaded: LoadedModel) -> None:
    assert np.array_equal(evaluator(loaded).losses(), nll(loaded).mean(-1).numpy())


def test_many_sets_are_what_each_of_them_is_alone(loaded: LoadedModel) -> None:
    sets = [(), EDITS, EDITS[:1], EDITS]
    many = evaluator(loaded)
    for subset in ([4, 1], None):  # in the same rounds, so that the batches are the same
        alone = [evaluator(loaded) for _ in sets]
        for one, edits in zip(alone, sets, strict=True):
            one.losses(edits, [4, 1])
        asked = many.losses_many(sets, subset)
        for got, one, edits in zip(asked, alone, sets, strict=True):
            assert np.array_equal(got, one.losses(edits, subset))
    assert many.forward_passes == 3 * len(IDS)  # three different sets, every sequence once


def test_what_a_subset_paid_for_is_not_paid_again(loaded: LoadedModel) -> None:
    one = evaluator(loaded)
    part = one.losses(EDITS, [3, 0])
    assert not one.known(EDITS) and one.forward_passes == 2
    assert np.array_equal(one.losses(EDITS)[[3, 0]], part)
    assert one.known(EDITS) and one.forward_passes == len(IDS)
    one.losses_by_position(EDITS)
    assert one.forward_passes == len(IDS)


def buckets(nll: torch.Tensor) -> np.ndarray:
    """Means at positions 0, 1, 2 to 3, 4 to 7, 8 to 15 and 16 to 31."""
    spans = ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16), (16, 32))
    return np.stack([nll[:, a:b].sum(-1).numpy() / (b - a) for a, b in spans], axis=1)


def test_losses_by_position_are_the_means_of_buckets_each_as_long_as_all_before(loaded: LoadedModel) -> None:
    found = evaluator(loaded).losses_by_position()
    assert np.array_equal(found, buckets(nll(loaded)))
    assert np.array_equal(evaluator(loaded).losses_by_position(subset=[1, 0]), found[[1, 0]])


def test_a_remembered_loss_stays_and_only_its_positions_are_evaluated(loaded: LoadedModel) -> None:
    one = evaluator(loaded)
    elsewhere = np.arange(5.0)
    one.remember(elsewhere)
    assert np.array_equal(one.losses(), elsewhere) and one.forward_passes == 0
    assert np.array_equal(one.losses_by_position(), buckets(nll(loaded)))
    assert np.array_equal(one.losses(), elsewhere) and one.forward_passes == len(IDS)


@pytest.mark.parametrize("positions", [1, 63, 64, 65, 256, 1000, 32_768])
def test_buckets_are_few_and_cover_every_position_once(positions: int) -> None:
    sizes = bucket_positions(positions)
    assert len(sizes) <= 16 and sizes.sum() == positions and sizes.min() > 0
    assert (
        sizes[:-1].tolist()
        == [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384][: len(sizes) - 1]
    )
    values = torch.arange(2 * positions, dtype=torch.float64).view(2, positions)
    starts = np.cumsum(sizes) - sizes
    assert np.array_equal(bucket_sums(values).numpy(), np.add.reduceat(values.numpy(), starts, axis=1))


def test_a_loss_that_is_not_finite_spoils_its_own_bucket_only() -> None:
    values = torch.ones(1, 130, dtype=torch.float64)
    values[0, 3] = torch.nan
    assert torch.isnan(bucket_sums(values)[0]).nonzero().tolist() == [[2]]  # positions 2 to 3


def test_ids_beyond_the_rows_and_windows_beyond_the_positions_are_refused(loaded: LoadedModel) -> None:
    ids = IDS.copy()
    ids[1, 5] = 97
    with pytest.raises(InputError, match=r"id 97.*97 rows"):
        Evaluator(loaded, ids)
    with pytest.raises(InputError, match=r"65 positions.*64"):
        Evaluator(loaded, np.zeros((1, 66), dtype=np.int64))


def test_losses_are_the_plain_formula(loaded: LoadedModel, tmp_path: Path) -> None:
    ids = torch.tensor(IDS)
    with torch.inference_mode():
        logits = loaded.module(input_ids=ids[:, :-1]).logits.double()
    by_hand = torch.logsumexp(logits, -1) - logits.gather(-1, ids[:, 1:, None])[..., 0]
    assert np.allclose(evaluator(loaded).losses(), by_hand.mean(-1).numpy(), atol=1e-5)
    assert np.allclose(evaluator(loaded).losses(subset=[2, 0]), by_hand.mean(-1).numpy()[[2, 0]], atol=1e-5)
