"""The rotary pairing is read off trained Q and K, in either order, and nothing is named where nothing shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from checkpoint_samples import Build
from safetensors.numpy import save_file

from diag.checkpoints import open_checkpoint, rotary_pairing
from diag.checkpoints.signatures.rotary import pairing

Layer = tuple[np.ndarray, np.ndarray]


def adjacent(values: np.ndarray) -> np.ndarray:
    """Rows of each head [heads, rows, width] from halves order (i, i + d/2) to pairs (2i, 2i + 1)."""
    heads, rows, width = values.shape
    order = [i // 2 + (i % 2) * rows // 2 for i in range(rows)]
    return values[:, order].reshape(heads, rows, width)


@pytest.fixture(scope="module")
def layers(healthy: Path) -> list[Layer]:
    """Q [4, 64, 256] and K [2, 64, 256] of the six layers of the demo's trained model."""
    checkpoint = open_checkpoint(healthy)
    name = "model.layers.{}.self_attn.{}_proj.weight".format
    shape = (-1, 64, 256)
    return [tuple(checkpoint.float32(name(i, c)).reshape(shape) for c in "qk") for i in range(6)]  # type: ignore[misc]


def test_a_healthy_file_pairs_halves(healthy: Path) -> None:
    score = rotary_pairing(open_checkpoint(healthy))
    assert score is not None
    assert (score.pairing, score.heads, score.layers) == ("halves", 24, 6)
    assert score.layers_agreeing == 6
    assert score.lead == pytest.approx(0.84, abs=0.02)
    assert score.stderr == pytest.approx(0.11, abs=0.01)


def test_a_file_left_in_adjacent_order_is_told(healthy: Path, layers: list[Layer], tmp_path: Path) -> None:
    checkpoint = open_checkpoint(healthy)
    values = {name: np.array(checkpoint.float32(name)) for name in checkpoint.tensors}
    for i, layer in enumerate(layers):
        for c, part in zip("qk", layer, strict=True):
            values[f"model.layers.{i}.self_attn.{c}_proj.weight"] = adjacent(part).reshape(-1, 256)
    save_file(values, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((healthy / "config.json").read_bytes())
    score = rotary_pairing(open_checkpoint(tmp_path))
    assert score is not None
    assert (score.pairing, score.layers_agreeing) == ("adjacent", 6)
    assert score.lead == pytest.approx(-0.88, abs=0.02)


def test_only_one_of_them_permuted_is_unclear(layers: list[Layer]) -> None:
    for case in ([(q, adjacent(k)) for q, k in layers], [(adjacent(q), k) for q, k in layers]):
        score = pairing(case)
        assert score is not None and score.pairing == "unclear"


def test_untrained_projections_are_unclear(layers: list[Layer]) -> None:
    rng = np.random.default_rng(0)
    named = []
    for _ in range(20):
        score = pairing([(rng.normal(size=q.shape), rng.normal(size=k.shape)) for q, k in layers])
        assert score is not None
        named.append(score.pairing)
    assert set(named) == {"unclear"}


def test_the_sine_term_of_a_head_worked_out_by_hand() -> None:
    """q rows are e0…e3; k rows 2 and 3 are e0 and e1. So |q0·k2 − q2·k0| = |q1·k3 − q3·k1| = 1, the adjacent pairs give
    0, and 2 of 16 cosines are 1: a lead of 1 over 2/16."""
    unit = np.eye(8)
    q, k = np.stack([unit[:4]] * 8), np.stack([unit[[4, 5, 0, 1]]] * 2)
    score = pairing([(q, k)])
    assert score is not None
    assert score.lead == pytest.approx(8.0)
    assert score.stderr == 0.0
    assert score.pairing == "halves"


def test_a_group_of_query_heads_reads_its_own_key_head() -> None:
    """Key head 1 is empty of what key head 0 holds: only the first half of the query heads sees a pairing."""
    unit = np.eye(12)
    q = np.stack([unit[:4]] * 8)
    k = np.stack([unit[[4, 5, 0, 1]], unit[[6, 0, 7, 8]]])  # the second: q0 · k1, an adjacent pair
    score = pairing([(q, k)])
    assert score is not None
    assert score.lead == pytest.approx((4 * 8.0 - 4 * 0.5 * 16) / 8)


def test_too_little_or_not_finite_gives_no_score(build: Build, layers: list[Layer]) -> None:
    assert pairing([]) is None
    assert pairing(layers[:1]) is None  # four heads
    assert pairing([(np.full_like(q, np.nan), k) for q, k in layers]) is None
    assert pairing([(np.zeros_like(q), k) for q, k in layers]) is None
    assert pairing([(q[:3], k) for q, k in layers]) is None  # three query heads over two key heads
    sample = build()
    score = rotary_pairing(sample)
    assert score is not None and (score.heads, score.pairing) == (12, "unclear")
