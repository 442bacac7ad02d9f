"""Figures of activations, against the same figures in NumPy's float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from diag.model.buckets import bucket_positions
from diag.model.probes import Probes, statistics
from diag.results import codec
from diag.results.trace import Trace

SEQ = 37


def hard(kind: torch.dtype, seed: int = 0) -> torch.Tensor:
    """[3, SEQ, 48] with a channel of 1e4, a large mean, exact zeros, and tokens of very different sizes."""
    x = torch.randn(3, SEQ, 48, generator=torch.Generator().manual_seed(seed))
    x[..., 7] *= 1e4
    x[:, 5] += 300.0
    x[:, 9] *= 1e-6
    x[1, 20:, 30:] = 0.0
    return x.to(kind)


def expected(x: np.ndarray) -> dict[str, float]:
    fine = x[np.isfinite(x)]
    return {
        "mean": fine.mean(),
        "deviation": fine.std(),
        "l2": math.sqrt((fine**2).sum()),
        "lowest": fine.min(),
        "highest": fine.max(),
        "zeros": (x == 0).sum() / x.size,
        "nonfinite": (~np.isfinite(x)).sum(),
        "values": x.size,
    }


def assert_rows(trace: Trace, x: np.ndarray) -> None:
    assert [row.first for row in trace.rows] == [0, 1, 2, 4, 8, 16, 32] and trace.rows[-1].stop == SEQ
    for row in trace.rows:
        for name, value in expected(x[:, row.first : row.stop]).items():
            assert getattr(row, name) == pytest.approx(value, rel=2e-6, abs=1e-9), (name, row)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_the_figures_of_every_bucket_are_those_of_numpy(kind: torch.dtype) -> None:
    x, more = hard(kind), hard(kind, seed=1)
    probes = Probes(bucket_positions(SEQ))
    probes.add("stream", 3, x)
    probes.add("stream", 3, more)
    trace = probes.trace("this test")
    assert_rows(trace, torch.cat([x, more]).double().numpy())
    assert {(row.point, row.layer) for row in trace.rows} == {("stream", 3)} and trace.source == "this test"


def test_what_is_not_finite_is_counted_and_hides_nothing_else() -> None:
    x = hard(torch.float32)
    x[0, 0, 0], x[1, 10, 3], x[2, 10, :] = math.nan, math.inf, -math.inf
    probes = Probes(bucket_positions(SEQ))
    probes.add("mlp", 0, x)
    rows = probes.trace("").rows
    assert [row.nonfinite for row in rows] == [1, 0, 0, 0, 49, 0, 0]
    assert_rows(probes.trace(""), x.double().numpy())


def test_a_bucket_of_nothing_finite_has_no_figures_and_does_not_spoil_a_merge() -> None:
    nothing, x = torch.full((1, 2, 4), math.nan), torch.ones(1, 2, 4)
    probes = Probes(np.array([2]))
    probes.add("stream", 0, nothing)
    (row,) = probes.trace("").rows
    assert math.isnan(row.mean) and math.isnan(row.l2) and math.isnan(row.rms) and row.nonfinite == row.values == 8
    probes.add("stream", 0, x)
    (row,) = probes.trace("").rows
    assert (row.mean, row.deviation, row.rms, row.lowest, row.nonfinite, row.values) == (1.0, 0.0, 1.0, 1.0, 8, 16)


def test_squares_beyond_float32_and_a_spread_far_below_the_mean_keep_their_digits() -> None:
    huge = torch.full((1, 1, 64), 3e38, dtype=torch.bfloat16)
    narrow = 1e4 + torch.linspace(-1, 1, 4096)[None, None]
    for x in (huge, narrow):
        probes = Probes(np.array([1]))
        probes.add("stream", 0, x)
        (row,) = probes.trace("").rows
        wanted = expected(x.double().numpy())
        assert row.l2 == pytest.approx(wanted["l2"], rel=1e-6)
        assert row.deviation == pytest.approx(wanted["deviation"], rel=1e-3, abs=1e31 if x is huge else 0)


def test_figures_stay_on_the_device_and_a_trace_survives_a_record() -> None:
    probes = Probes(bucket_positions(SEQ))
    assert statistics(hard(torch.bfloat16), probes.members).shape == (7, 7)
    probes.add("embedding", None, hard(torch.bfloat16))
    trace = probes.trace("Subrandom")
    assert codec.decode(Trace, codec.plain(trace)) == trace
    assert trace.at("embedding") == trace.rows and trace.at("embedding", 0) == ()
