"""One tensor in numbers and pictures: against plain formulas, in bounded sizes, for any shape."""

from __future__ import annotations

import math

import numpy as np
import pytest
from checkpoint_samples import EMBEDDING, Build

from diag.checkpoints import some_rows, sparkline, tensor_profile
from diag.checkpoints.passes.tensor_profile import MAX_POINTS, PERCENTILES, SPARK_BINS, VALUE_BINS
from diag.errors import InputError

TALL = np.random.default_rng(0).standard_normal((5_000, 3)).astype(np.float32)


def test_numbers_are_those_of_the_plain_formulas(build: Build) -> None:
    checkpoint = build()
    view, values = tensor_profile(checkpoint, EMBEDDING), checkpoint.float32(EMBEDDING).astype(np.float64)
    assert (view.mean, view.std) == (pytest.approx(values.mean(), abs=1e-9), pytest.approx(values.std(), rel=1e-9))
    assert view.rms == pytest.approx(math.sqrt((values**2).mean())) and (view.low, view.high) == (
        values.min(), values.max()
    )  # fmt: skip
    assert view.counts.sum() == view.elements == values.size and len(view.counts) == VALUE_BINS
    assert view.rows.mean == pytest.approx(np.linalg.norm(values, axis=1), rel=1e-6)
    assert view.columns is not None and view.columns.mean == pytest.approx(np.linalg.norm(values, axis=0), rel=1e-6)
    assert view.rows.percentiles[PERCENTILES.index(50)] == pytest.approx(np.median(np.linalg.norm(values, axis=1)))
    width = view.edges[1] - view.edges[0]
    assert view.percentiles[PERCENTILES.index(50)] == pytest.approx(np.median(values), abs=width)


def test_many_rows_become_few_points_that_keep_the_extremes(build: Build) -> None:
    view = tensor_profile(build({"tall": TALL}), "tall")
    norms = np.linalg.norm(TALL.astype(np.float64), axis=1)
    assert view.rows.count == 5_000 and len(view.rows.start) == MAX_POINTS
    assert view.rows.high.max() == pytest.approx(norms.max()) and view.rows.low.min() == pytest.approx(norms.min())
    first, second = view.rows.start[:2]
    assert view.rows.mean[0] == pytest.approx(norms[first:second].mean())


def test_a_vector_is_shown_by_position_with_fewer_bins(build: Build) -> None:
    view = tensor_profile(build(), "model.norm.weight")
    assert view.columns is None and view.rows.what == "value" and len(view.counts) == 16
    assert view.rows.mean == pytest.approx(build().float32("model.norm.weight"))


def test_nan_and_infinity_are_counted_and_left_out(build: Build) -> None:
    values = np.ones((10, 4), np.float32)
    values[2, 1], values[3, 2], values[4] = np.nan, np.inf, 0
    view = tensor_profile(build({"odd": values}), "odd")
    assert (view.nonfinite, view.zeros, view.counts.sum()) == (2, 4, 38)
    assert view.rows.mean[2] == pytest.approx(math.sqrt(3)) and view.low == 0 and view.high == 1


@pytest.mark.parametrize(
    "values", [np.full((3, 4), 7, np.float32), np.float32(2.5), np.zeros(1, np.float32), np.ones((2, 3, 4), np.float32)]
)
def test_constants_scalars_and_three_dimensions_are_shown(build: Build, values: np.ndarray) -> None:
    view = tensor_profile(build({"c": np.asarray(values)}), "c")
    assert view.counts.sum() == view.elements == np.asarray(values).size and view.std == 0
    assert view.rows.count == (view.elements if np.asarray(values).ndim < 2 else view.elements // values.shape[-1])


def test_huge_values_do_not_overflow(build: Build) -> None:
    values = np.array([[-3e38, 3e38], [1, 2]], np.float32)
    view = tensor_profile(build({"huge": values}), "huge")
    assert math.isfinite(view.rms) and view.counts.sum() == 4


def test_what_holds_no_numbers_is_an_input_error(build: Build) -> None:
    checkpoint = build({"nan": np.full((2, 2), np.nan, np.float32), "none": np.zeros((0, 4), np.float32)})
    for name, says in (("nan", "no finite value"), ("none", "holds no data"), ("absent", "no tensor named")):
        with pytest.raises(InputError, match=says):
            tensor_profile(checkpoint, name)


def test_a_sparkline_counts_a_sample_over_four_root_mean_squares(build: Build) -> None:
    checkpoint = build({"tall": np.tile(TALL, (4, 1))})
    counts = sparkline(checkpoint, "tall", 1.0)
    assert len(counts) == SPARK_BINS and 10_000 < sum(counts) <= 1 << 14
    middle, expected = sum(counts[12:20]) / sum(counts), 0.683  # one standard deviation of a Gaussian
    assert middle == pytest.approx(expected, abs=0.02)
    assert sparkline(checkpoint, "tall", None) == () == sparkline(checkpoint, "tall", 0.0)


def test_some_rows_are_those_rows(build: Build) -> None:
    checkpoint, wanted = build(), np.array([0, 3, 149])
    assert np.array_equal(some_rows(checkpoint, EMBEDDING, wanted), checkpoint.float32(EMBEDDING)[wanted])
