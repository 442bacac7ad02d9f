"""Matrices read in the wrong order are told from their directions, one at a time or all at once, in a trained model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoint_samples import Build
from safetensors.numpy import save_file

from diag.checkpoints import LayoutScore, layout_scores, open_checkpoint
from diag.checkpoints.buffer_order import BufferOrder, written
from diag.checkpoints.families import Side
from diag.checkpoints.signatures.directions import ORDERS, Sample, directions, directions_of
from diag.checkpoints.signatures.layout import FALSE_ALARMS, Facing, correlate, facing_matrices, judge, sound_as_stored

Values = dict[str, np.ndarray]


def column_major(values: np.ndarray) -> np.ndarray:
    """The buffer written column-major, under the same shape; COLUMN_MAJOR reads it."""
    return np.ascontiguousarray(values.T).reshape(values.shape)


def read_twice(values: np.ndarray) -> np.ndarray:
    """The row-major buffer taken for column-major and written again; UNDO_COLUMN_MAJOR reads it."""
    return np.ascontiguousarray(values.reshape(values.shape[::-1]).T)


WAYS = {BufferOrder.COLUMN_MAJOR: column_major, BufferOrder.UNDO_COLUMN_MAJOR: read_twice}


class Trained:
    """The demo's trained model in memory, with matrices replaced."""

    def __init__(self, folder: Path) -> None:
        checkpoint = open_checkpoint(folder)
        self.matrices: list[Facing] = facing_matrices(checkpoint)
        self.values: Values = {m.tensor: np.array(checkpoint.float32(m.tensor)) for m in self.matrices}
        self.found = {m.tensor: directions(checkpoint, m.tensor, m.side) for m in self.matrices}

    def scores(self, changed: Values) -> tuple[LayoutScore, ...]:
        found = np.stack(
            [
                directions_of(changed[m.tensor], m.side) if m.tensor in changed else self.found[m.tensor]
                for m in self.matrices
            ]
        )
        return judge(correlate(found), found.shape[2], self.matrices)

    def suspects(self, names: list[str], misread: Callable[[np.ndarray], np.ndarray]) -> dict[str, BufferOrder | None]:
        scores = self.scores({name: misread(self.values[name]) for name in names})
        assert all(s.false_alarm_rate == (FALSE_ALARMS if s.suspicious else None) for s in scores)
        return {s.tensor: s.other for s in scores if s.suspicious}

    def named(self, *parts: str) -> list[str]:
        return [name for name in self.values if any(part in name for part in parts)]


@pytest.fixture(scope="module")
def trained(healthy: Path) -> Trained:
    return Trained(healthy)


def test_a_healthy_file_has_no_suspects(healthy: Path) -> None:
    scores = layout_scores(open_checkpoint(healthy))
    assert len(scores) == 6 * 7 + 1
    assert not any(s.suspicious or s.undecided for s in scores)
    assert {s.other_order for s in scores} == {None}, "no doubt about the file's order: the others are not tried"
    assert min(s.as_read / s.noise for s in scores) > 3
    assert scores[0].noise == pytest.approx(0.0097, abs=2e-4)  # the mean of the 8 largest of 42 |normal|, over √32640


@pytest.mark.parametrize(
    "parts",
    [*((f".{c}_proj",) for c in "qkvo"), (".gate_",), (".up_",), (".down_",), ("embed",), ("mlp",), ("attn",), ("",)],
    ids=lambda parts: parts[0] or "everything",
)
@pytest.mark.parametrize("way", WAYS)
def test_misread_roles_are_found_and_nothing_else(trained: Trained, parts: tuple[str, ...], way: BufferOrder) -> None:
    names = trained.named(*parts)
    found = trained.suspects(names, WAYS[way])
    assert set(found) == set(names)
    square = {name for name in names if len(set(trained.values[name].shape)) == 1}
    assert {found[n] for n in names if n not in square} <= {way}


def test_every_single_misread_matrix_is_found(trained: Trained) -> None:
    for name in trained.values:
        for misread in WAYS.values():
            assert set(trained.suspects([name], misread)) == {name}


def test_a_glance_at_some_dimensions_passes_the_sound_file_and_none_with_a_misread_matrix(trained: Trained) -> None:
    # A model wider than 256 is first looked at in part; two thirds of this one's dimensions stand for that part.
    def glance(name: str, way: BufferOrder) -> bool:
        found = stored.copy()
        at, side = next((at, m.side) for at, m in enumerate(trained.matrices) if m.tensor == name)
        found[at] = directions_of(WAYS[way](trained.values[name]), side, ORDERS[:1], part)
        return bool(sound_as_stored(correlate(found), found.shape[2], trained.matrices))

    part = Sample(170, 512)
    stored = np.stack([directions_of(trained.values[m.tensor], m.side, ORDERS[:1], part) for m in trained.matrices])
    assert sound_as_stored(correlate(stored), stored.shape[2], trained.matrices)
    assert not [(name, way) for name in trained.values for way in WAYS if glance(name, way)]


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_file_misread_at_random(trained: Trained, seed: int) -> None:
    names = list(np.random.default_rng(seed).permutation(list(trained.values))[:22])
    assert set(trained.suspects(names, column_major)) == set(names)


def test_an_untrained_model_is_undecided_and_not_suspected(trained: Trained) -> None:
    rng = np.random.default_rng(0)
    scores = trained.scores({n: rng.normal(0, 0.02, v.shape).astype(np.float32) for n, v in trained.values.items()})
    assert all(s.undecided and not s.suspicious for s in scores)


def test_one_layer_initialised_again_is_undecided_and_the_rest_is_not(trained: Trained) -> None:
    rng = np.random.default_rng(1)
    names = trained.named(".layers.3.")
    scores = trained.scores({n: rng.uniform(-0.03, 0.03, trained.values[n].shape).astype(np.float32) for n in names})
    assert {s.tensor for s in scores if s.undecided} == set(names)
    assert not any(s.suspicious for s in scores)


def test_identical_layers_do_not_vouch_for_each_other(trained: Trained) -> None:
    """A stack grown by copying a layer, never trained on, whose gate was misread before it was copied."""
    changed = {}
    for name in trained.named(".layers."):
        rest = name.split(".", 3)[3]  # model.layers.4.mlp.gate_proj.weight
        changed[name] = trained.values[f"model.layers.2.{rest}"]
        if "gate" in name:
            changed[name] = column_major(changed[name])
    assert {s.tensor for s in trained.scores(changed) if s.suspicious} == set(trained.named("gate"))


def test_numbers_that_are_not_finite_or_constant_say_nothing(trained: Trained) -> None:
    gates, ups = trained.named("gate"), trained.named(".up_")
    changed = {n: np.full_like(trained.values[n], np.nan) for n in gates} | {
        n: np.zeros_like(trained.values[n]) for n in ups
    }
    scores = trained.scores(changed)
    assert {s.tensor for s in scores if s.undecided} == {*gates, *ups}
    assert not any(s.suspicious for s in scores)


def test_a_file_of_float32_misread_matrices(trained: Trained, healthy: Path, tmp_path: Path) -> None:
    """The same from disk: sampled elements are gathered from the mapped file."""
    names = trained.named(".down_", ".v_")
    config = (healthy / "config.json").read_bytes()
    (tmp_path / "config.json").write_bytes(config)
    save_file(
        {n: read_twice(v) if n in names else v for n, v in trained.values.items()}, tmp_path / "model.safetensors"
    )
    steps: list[float] = []
    scores = layout_scores(open_checkpoint(tmp_path), lambda done, _: steps.append(done))
    assert {s.tensor: s.other for s in scores if s.suspicious} == dict.fromkeys(names, BufferOrder.UNDO_COLUMN_MAJOR)
    assert steps == sorted(steps) and steps[-1] == 1.0


def test_trying_the_other_orders_too_changes_no_verdict_of_a_sound_file(healthy: Path) -> None:
    checkpoint = open_checkpoint(healthy)
    matrices = facing_matrices(checkpoint)
    found = np.stack([directions(checkpoint, m.tensor, m.side) for m in matrices])
    scores = judge(correlate(found), found.shape[2], matrices)
    assert not any(s.suspicious or s.undecided for s in scores)
    assert min((s.as_read - (s.other_order or 0.0)) / s.noise for s in scores) > 3


def test_too_few_to_compare(build: Build) -> None:
    names = [m.tensor for m in facing_matrices(build())]
    assert layout_scores(build(drop=tuple(names[8:]))) == ()


@pytest.mark.parametrize("side", ["columns", "rows"])
@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (16, 16), (1, 16), (16, 1)])
def test_directions_agree_with_the_plain_formula(shape: tuple[int, int], side: Side) -> None:
    values = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    out, width = shape
    orders = (values, values.reshape(width, out).T, np.ascontiguousarray(values.T).reshape(out, width))
    found = directions_of(values, side)
    assert len(found) == len(ORDERS)
    for got, order in zip(found, orders, strict=True):
        vectors = (order if side == "columns" else order.T).astype(np.float64)
        vectors -= vectors.mean(axis=0)
        norms = np.linalg.norm(vectors, axis=0)
        cosines = (vectors.T @ vectors) / np.outer(*[np.where(norms > 0, norms, 1.0)] * 2)
        pairs = cosines[np.tril_indices(len(cosines), -1)]
        spread = pairs.std() if pairs.size else 0.0
        expected = (pairs - pairs.mean()) / spread if spread > 1e-6 else np.zeros_like(pairs)
        assert np.allclose(got, expected, atol=4e-3)  # float16


@pytest.mark.parametrize("planted", ORDERS)
def test_the_means_of_one_order_do_not_pass_for_directions_of_another(planted: BufferOrder) -> None:
    """Two matrices with nothing in common but the place where their columns begin, as gate and embedding of Qwen2.5."""
    rng = np.random.default_rng(4)
    matrices = (0.5 * rng.normal(size=64) + rng.normal(size=(rows, 64)) for rows in (432, 1200))  # both 48 modulo 64
    a, b = (directions_of(written(m.astype(np.float32), planted), "columns").astype(np.float64) for m in matrices)
    together = np.abs(a @ b.T) / a.shape[1]
    assert together.max() < 0.1  # chance has 0.02; 0.6 with the means left in
