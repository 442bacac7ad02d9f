"""Rotary scaling as GGUF states it → `rope_scaling` of config.json.

Llama 3.1 and later are exported as a tensor of one divisor for each frequency (`rope_freqs`); transformers wants the
few numbers that these came from. They are solved for, and believed only if they give the same divisors back.
Source: LlamaModel.generate_extra_tensors of llama.cpp, `_compute_llama3_parameters` of transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from diag.checkpoints.dtypes import Array

# Of the two wavelengths, where the divisors leave it open; Llama's comes first.
RATIOS = (4.0, 2.0, 8.0, 1.5, 3.0, 16.0)
STEP_RATIO = 1.001  # of a band with no frequency inside: wide enough that rounding does not close it
TOLERANCE = 1e-4  # relative, on each divisor: float32 arithmetic of the exporter leaves 1e-6
ANY_LENGTH = 8192  # the published original length; only its quotients with the two factors mean anything

Number = Callable[[str], float | None]


def stated_scaling(number: Number, kind: Any) -> dict[str, Any] | None:
    """What `rope.scaling.*` says; `number` looks a key up behind that prefix, `kind` is the scaling's type."""
    factor = number("factor")
    if kind == "linear" and factor:
        return {"rope_type": "linear", "factor": factor}
    if kind == "yarn" and factor:
        optional = {
            "original_max_position_embeddings": number("original_context_length"),
            "attention_factor": number("yarn_attn_factor"),
            "beta_fast": number("yarn_beta_fast"),
            "beta_slow": number("yarn_beta_slow"),
        }
        return {"rope_type": "yarn", "factor": factor} | {k: v for k, v in optional.items() if v is not None}
    return None


def longrope(long: Array, short: Array, attention_factor: float | None) -> dict[str, Any]:
    """Phi-3's two lists of divisors, one for each frequency, for long and for short sequences."""
    found: dict[str, Any] = {"rope_type": "longrope", "long_factor": long.tolist(), "short_factor": short.tolist()}
    return found | ({} if attention_factor is None else {"attention_factor": attention_factor})


def scaling_of_divisors(divisors: Array, theta: float) -> dict[str, Any] | None:
    """The `rope_scaling` of config.json that divides frequency i, theta ** (−i / len), by divisors[i].

    {} when nothing is divided; None when no scaling that transformers knows does it. Cost: microseconds.
    """
    if not np.all(np.isfinite(divisors)) or not np.all(divisors > 0):
        return None
    divisors = divisors.astype(np.float64)
    if np.allclose(divisors, 1, rtol=TOLERANCE):
        return {}
    largest = float(divisors.max())
    if np.allclose(divisors, largest, rtol=TOLERANCE):
        return {"rope_type": "linear", "factor": largest}
    waves = 2 * math.pi * theta ** (np.arange(len(divisors)) / len(divisors))
    for low_wave, high_wave in _candidates(divisors, largest, waves):
        if np.allclose(_divisors(waves, largest, low_wave, high_wave), divisors, rtol=TOLERANCE):
            length = round(low_wave) if math.isclose(low_wave, round(low_wave), rel_tol=1e-3) else ANY_LENGTH
            return {
                "rope_type": "llama3",
                "factor": largest,
                "low_freq_factor": _tidy(length / low_wave),
                "high_freq_factor": _tidy(length / high_wave),
                "original_max_position_embeddings": length,
            }
    return None


def _candidates(divisors: Array, largest: float, waves: Array) -> Iterator[tuple[float, float]]:
    """Pairs of wavelengths: above the first everything is divided by `largest`, below the second nothing is."""
    between = (divisors > 1 + TOLERANCE) & (divisors < largest * (1 - TOLERANCE))
    # In between the divisor is 1 / ((1 − s) / largest + s), and s = slope · turns − c, with turns = 1 / wavelength.
    share = (1 / divisors[between] - 1 / largest) / (1 - 1 / largest)
    turns = 1 / waves[between]
    if len(turns) > 1:
        slope, minus_c = np.polyfit(turns, share, 1)
        if slope > 0 and minus_c < 0:
            yield slope / -minus_c, slope / (1 - minus_c)
    for ratio in RATIOS:
        if len(turns):
            low_wave = (share[0] * (ratio - 1) + 1) / turns[0]
        else:  # a step between two frequencies: any narrow band between them does it
            edge = int(np.argmax(divisors > 1 + TOLERANCE))
            low_wave = math.sqrt(waves[max(edge - 1, 0)] * waves[edge])
            ratio = STEP_RATIO  # noqa: PLW2901
        yield low_wave, low_wave / ratio


def _divisors(waves: Array, largest: float, low_wave: float, high_wave: float) -> Array:
    low, high = 1 / low_wave, 1 / high_wave
    share = np.clip((1 / waves - low) / (high - low), 0, 1)
    found: Array = 1 / ((1 - share) / largest + share)
    return found


def _tidy(value: float) -> float:
    """4.0000003 is 4.0, within what the divisors can tell."""
    return float(round(value)) if math.isclose(value, round(value), rel_tol=TOLERANCE) else value


def partial_rotary(dimensions: int, head_dim: int) -> float:
    """The share of a head that turns, chosen so that int(head_dim · share), which the model code takes, is exact."""
    share = dimensions / head_dim
    return share if int(head_dim * share) == dimensions else math.nextafter(share, 1.0)


def theta_of(config: Mapping[str, Any]) -> float:
    """The rotary base in `config`, or what silence means."""
    theta = config.get("rope_theta")
    return float(theta) if isinstance(theta, (int, float)) and math.isfinite(theta) and theta > 1 else 10_000.0
