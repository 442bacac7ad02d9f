"""Is one loss really lower than another? Differences paired per sequence, with their standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diag.results.thresholds import MATERIAL_NATS, MATERIAL_SE


@dataclass(frozen=True)
class Gain:
    """How much lower `after` is than `before`, nats. Null where either is not finite."""

    delta: float | None
    stderr: float | None
    material: bool


def gain(before: np.ndarray, after: np.ndarray, chance_nats: float) -> Gain:
    """Compare two arrays of per-sequence losses [n] of the same sequences.

    Material: Δ > 3 SE and Δ ≥ 0.02 nats. Where `before` is not finite, a finite `after` below chance is material.
    A single sequence has no standard error (NaN), so nothing is material on it.
    """
    if not np.isfinite(before).all():
        return Gain(None, None, bool(np.isfinite(after).all() and after.mean() < chance_nats))
    if not np.isfinite(after).all():
        return Gain(None, None, False)
    difference = before - after
    delta = float(difference.mean())
    n = len(difference)
    stderr = float(difference.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return Gain(delta, stderr, delta > MATERIAL_SE.value * stderr and delta >= MATERIAL_NATS.value)


def share(delta: float | None, excess: float | None) -> float | None:
    """Δ / excess; null when either is."""
    return None if delta is None or not excess else delta / excess
