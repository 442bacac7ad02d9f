import numpy as np
import pytest

from diag.demo import defects
from diag.demo.tensors import to_bits, to_float

GATE = "model.layers.{}.mlp.gate_proj.weight"
UP = "model.layers.{}.mlp.up_proj.weight"
DOWN = "model.layers.{}.mlp.down_proj.weight"


def small_model() -> dict[str, np.ndarray]:
    """Two layers, hidden 3, intermediate 4, vocabulary 5; every element differs."""
    shapes = {defects.EMBEDDING: (5, 3), "model.norm.weight": (3,)}
    for layer in (0, 1):
        shapes |= {GATE.format(layer): (4, 3), UP.format(layer): (4, 3), DOWN.format(layer): (3, 4)}
        shapes[f"model.layers.{layer}.input_layernorm.weight"] = (3,)
        shapes[f"model.layers.{layer}.post_attention_layernorm.weight"] = (3,)
    rng = np.random.default_rng(7)
    return {name: to_bits(rng.standard_normal(shape, dtype=np.float32)) for name, shape in shapes.items()}


def changed(name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], set[str]]:
    before = small_model()
    after = next(d for d in defects.DEFECTS if d.name == name).apply(before)
    assert all(after[key].shape == before[key].shape for key in before)
    return before, after, {key for key in after if key not in before or not np.array_equal(after[key], before[key])}


def row_major(matrix: np.ndarray) -> np.ndarray:
    """The matrix whose column-major buffer was taken for row-major [out, in]."""
    return matrix.reshape(matrix.shape[::-1]).T


def test_column_major_lays_the_columns_out_one_after_the_other():
    matrix = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint16)
    assert defects.column_major(matrix).tolist() == [[1, 4, 2], [5, 3, 6]]


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (4, 4), (1, 5)])
def test_reading_the_buffer_as_column_major_gives_the_matrix_back(shape: tuple[int, int]):
    matrix = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    assert np.array_equal(row_major(defects.column_major(matrix)), matrix)


def test_random_head_adds_a_head_and_touches_nothing_else():
    before, after, names = changed("h4a-random-head")
    assert names == {defects.HEAD}
    assert not np.array_equal(after[defects.HEAD], before[defects.EMBEDDING])


def test_random_head_has_the_deviation_of_the_embedding():
    wide = {defects.EMBEDDING: to_bits(np.random.default_rng(1).normal(0, 0.37, (400, 100)).astype(np.float32))}
    head = to_float(defects.random_head(wide)[defects.HEAD])
    assert head.std() == pytest.approx(0.37, rel=0.02)
    assert abs(np.corrcoef(head.ravel(), to_float(wide[defects.EMBEDDING]).ravel())[0, 1]) < 0.03


def test_random_head_is_the_same_every_time():
    assert np.array_equal(*(defects.random_head(small_model())[defects.HEAD] for _ in range(2)))


def test_gate_defect_touches_every_gate_and_can_be_undone():
    before, after, names = changed("h4b-gate-column-major")
    assert names == {GATE.format(0), GATE.format(1)}
    assert all(np.array_equal(row_major(after[name]), before[name]) for name in names)


def test_norm_defect_adds_one_to_every_norm():
    before, after, names = changed("h4c-norm-plus-one")
    assert names == {name for name in before if name.endswith("norm.weight")}
    assert len(names) == 5
    for name in names:
        assert np.array_equal(after[name], to_bits(to_float(before[name]) + 1))


def test_down_defect_is_layer_zero_only():
    _, after, names = changed("h4d-zero-down-proj")
    assert names == {DOWN.format(0)}
    assert not after[DOWN.format(0)].any()


def test_two_defects_are_both_there():
    before, after, names = changed("h4a-h4b-two-defects")
    assert names == {defects.HEAD, UP.format(0), UP.format(1)}
    assert np.array_equal(row_major(after[UP.format(1)]), before[UP.format(1)])


def test_planting_never_writes_to_the_original():
    before, copy = small_model(), small_model()
    for defect in defects.DEFECTS:
        defect.apply(before)
    assert before.keys() == copy.keys()
    assert all(np.array_equal(before[name], copy[name]) for name in copy)


def test_the_four_hypotheses_and_a_pair_are_planted():
    planted = [defect.planted for defect in defects.DEFECTS]
    assert planted == [("H4A",), ("H4B",), ("H4C",), ("H4D",), ("H4A", "H4B")]
