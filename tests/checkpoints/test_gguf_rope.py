"""Rotary divisors back to the numbers they came from: exact for Llama's own, equivalent for any, refused for none."""

from __future__ import annotations

import numpy as np
import pytest
from gguf_samples import llama3_divisors
from hypothesis import given, settings
from hypothesis import strategies as st

from diag.checkpoints.formats.gguf_rope import partial_rotary, scaling_of_divisors

LLAMA31 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.mark.parametrize(("factor", "head_dim"), [(8.0, 128), (32.0, 64)])
def test_llama_3_1_and_3_2_come_back_exactly(factor: float, head_dim: int) -> None:
    stated = LLAMA31 | {"factor": factor}
    divisors = llama3_divisors(stated | {"rope_theta": 500_000.0}, head_dim)
    assert scaling_of_divisors(divisors, 500_000.0) == stated


@settings(max_examples=300, deadline=None)
@given(
    factor=st.sampled_from([2.0, 4.0, 8.0, 32.0]),
    low=st.sampled_from([1.0, 2.0]),
    ratio=st.sampled_from([2.0, 4.0, 8.0]),
    length=st.sampled_from([64, 512, 2048, 8192]),
    head_dim=st.sampled_from([8, 16, 32, 64, 128]),
    theta=st.sampled_from([1e4, 5e5]),
)
def test_what_is_solved_gives_the_same_divisors(
    *, factor: float, low: float, ratio: float, length: int, head_dim: int, theta: float
) -> None:
    rope = {"low_freq_factor": low, "high_freq_factor": low * ratio, "factor": factor, "rope_theta": theta}
    divisors = llama3_divisors(rope | {"original_max_position_embeddings": length}, head_dim)
    found = scaling_of_divisors(divisors, theta)
    if found is None:  # the largest divisor was not reached, so nothing in the file says how large it would be
        assert divisors.max() < factor * 0.999
    elif found:
        kind = found["rope_type"]
        again = (
            np.full(len(divisors), found["factor"])
            if kind == "linear"
            else llama3_divisors(found | {"rope_theta": theta}, head_dim)
        )
        np.testing.assert_allclose(again, divisors, rtol=1e-3)
    else:
        np.testing.assert_allclose(divisors, 1, rtol=1e-3)


@pytest.mark.parametrize("divisors", [[1.0, 5.0, 2.0, 7.0], [1.0, float("nan")], [0.0, 1.0], [-1.0, 1.0]])
def test_no_known_scaling(divisors: list[float]) -> None:
    assert scaling_of_divisors(np.array(divisors, np.float32), 1e4) is None


def test_the_share_of_a_head_that_turns_survives_rounding() -> None:
    for head_dim in range(1, 300):
        for turning in range(1, head_dim + 1):
            assert int(head_dim * partial_rotary(turning, head_dim)) == turning
