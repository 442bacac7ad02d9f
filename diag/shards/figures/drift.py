"""How far the ids of one shard are from those of another: the Jensen-Shannon divergence, and the ids that moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from diag.results import thresholds_shards as limits
from diag.shards.counting.counts import IdCounts, Int64
from diag.units import bits


def js_bits(counts: Int64, others: Int64) -> float:
    """Jensen-Shannon divergence of two tables of counts of equal length, in bits: 0 equal, 1 nothing in common.

    Each side weighs a half, however many tokens it has (Lin 1991). 0 if one side is empty.
    """
    if not counts.sum() or not others.sum():
        return 0.0
    p, q = counts / counts.sum(), others / others.sum()
    both = (p + q) / 2
    return max(0.0, bits((_to(p, both) + _to(q, both)) / 2))


def expected_js_bits(distinct: int, tokens: int, other_tokens: int) -> float:
    """What two samples of one source show by chance, to first order: (distinct − 1) / 8 · (1/n + 1/m) nats."""
    if not tokens or not other_tokens:
        return 0.0
    return bits((distinct - 1) / 8 * (1 / tokens + 1 / other_tokens))


def from_the_rest(part: IdCounts, total: IdCounts) -> float | None:
    """Divergence of a file from all other files of its dataset, in bits, less what sampling explains; None where either
    is too small to tell."""
    end = total.max_id + 1 if 0 <= total.max_id < total.size else total.size
    mine, rest = part.counts[:end], total.counts[:end] - part.counts[:end]
    if min(mine.sum(), rest.sum()) < limits.ODD_FILE_MIN_TOKENS.value:
        return None
    noise = expected_js_bits(int(np.count_nonzero(total.counts)), int(mine.sum()), int(rest.sum()))
    return max(0.0, js_bits(mine, rest) - noise)


def odd_ones(divergences: Sequence[float | None]) -> list[bool]:
    """Which files differ from the rest: by more than ODD_FILE_BITS and by more than ODD_FILE_TIMES the median."""
    known = [value for value in divergences if value is not None]
    if len(known) < limits.ODD_FILE_MIN_FILES.value:
        return [False] * len(divergences)
    limit = max(limits.ODD_FILE_BITS.value, limits.ODD_FILE_TIMES.value * median(known))
    return [value is not None and value > limit for value in divergences]


@dataclass(frozen=True)
class Moved:
    """An id whose share changed: fractions of the tokens of each shard. text: raw, None without a tokenizer."""

    id: int
    share: float
    other_share: float
    text: str | None = None

    @property
    def change(self) -> float:
        """Of the share, other minus this; from -1 to 1."""
        return self.other_share - self.share


@dataclass(frozen=True)
class Drift:
    """From one shard to another: divergence in bits (None if one is empty), ids found in only one, largest changes."""

    js_bits: float
    expected_js_bits: float
    only_here: int
    only_there: int
    gains: tuple[Moved, ...]
    losses: tuple[Moved, ...]


def drift(here: IdCounts, there: IdCounts, most: int = 20) -> Drift:
    """Compare two shards id by id. Ids outside the table of either are left out."""
    size = max(here.size, there.size)
    a, b = _padded(here.counts, size), _padded(there.counts, size)
    share, other = a / max(1, a.sum()), b / max(1, b.sum())
    change = other - share
    order = np.argsort(change, kind="stable")
    distinct = int(np.count_nonzero(a + b))

    def moved(ids: Int64) -> tuple[Moved, ...]:
        return tuple(Moved(int(i), float(share[i]), float(other[i])) for i in ids)

    return Drift(
        js_bits(a, b),
        expected_js_bits(distinct, int(a.sum()), int(b.sum())),
        int(np.count_nonzero((a > 0) & (b == 0))),
        int(np.count_nonzero((a == 0) & (b > 0))),
        moved(np.array([i for i in order[::-1][:most] if change[i] > 0], dtype=np.int64)),
        moved(np.array([i for i in order[:most] if change[i] < 0], dtype=np.int64)),
    )


def _padded(counts: Int64, size: int) -> Int64:
    return np.concatenate([counts, np.zeros(size - len(counts), dtype=np.int64)]) if len(counts) < size else counts


def _to(p: np.ndarray, q: np.ndarray) -> float:
    kept = p > 0
    value = float((p[kept] * np.log(p[kept] / q[kept])).sum())
    return value if math.isfinite(value) else 0.0
