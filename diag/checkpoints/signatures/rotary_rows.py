"""Where the rows of Q and K stand, head by head, and whether they stand in the order that rotary embedding turns them.

The sine term of `rotary.py` is taken as the file has the rows, and again with those of Q, of K or of both put back from
adjacent pairs to split halves, or the other way round: nine combinations, of which training made one the largest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import Checkpoint, projections
from diag.checkpoints.signatures.rotary import cosines, sine
from diag.results.thresholds_checkpoints import ROTARY_ERRORS, ROTARY_HEADS, ROTARY_LEAD, ROTARY_ROWS

Way = Literal["as stored", "to halves", "to adjacent"]
WAYS: tuple[Way, ...] = ("as stored", "to halves", "to adjacent")
# Vectors over the same rows.
_BESIDE = ("", "_bias", "_norm")


@dataclass(frozen=True)
class RotaryOrder:
    """How Q and K should be put back. lead: mean over `heads` (query heads of all layers) of the sine term with the
    rows put back, less that as stored, in units of the head's mean |cosine|; stderr: of that mean. clear: beyond what
    noise gives. Both "as stored" with a lead of 0 where nothing else is larger."""

    q: Way
    k: Way
    lead: float
    stderr: float
    heads: int

    @property
    def clear(self) -> bool:
        """Whether the file shows that its rows stand in another order."""
        return self.lead > max(ROTARY_LEAD.value, ROTARY_ERRORS.value * self.stderr)


def rotated_rows(checkpoint: Checkpoint) -> int:
    """How many rows of each head are turned: all, or the share that the configuration states."""
    raw, width = checkpoint.raw_config, checkpoint.config.head_dim
    rope = raw.get("rope_parameters")
    stated = [raw.get("partial_rotary_factor"), raw.get("rotary_pct")]
    stated += [rope.get("partial_rotary_factor")] if isinstance(rope, dict) else []
    usual = 0.25 if checkpoint.family is not None and "rotary_pct" in checkpoint.family.settings else 1.0
    share = next((s for s in stated if isinstance(s, (int, float)) and 0 < s <= 1), usual)
    return 2 * int(width * share / 2)


def head_starts(checkpoint: Checkpoint) -> dict[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """By role of a tensor whose first dimension runs over rows of Q or K: the first row of each of its Q heads, and of
    each of its K heads. Norms over one head have one of a kind. {} without rotary embedding."""
    config, family = checkpoint.config, checkpoint.family
    if family is None or config.rope_theta is None:
        return {}
    width, heads, groups = config.head_dim, config.num_heads, config.num_kv_heads
    if "qkv" in family.roles:
        # GPT-NeoX: q, k and v of the first head, then of the second; Phi-3: all of q, all of k, all of v.
        step = 1 if family.grouped else 3
        q = tuple(width * step * i for i in range(heads))
        k = tuple((width * heads if family.grouped else width) + width * step * i for i in range(groups))
        return {role: (q, k) for role in ("qkv", "qkv_bias") if role in family.roles}
    found: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for letter, count in (("q", heads), ("k", groups)):
        for role in (letter + suffix for suffix in _BESIDE if letter + suffix in family.roles):
            one_head = family.roles[role].shape == ("head_dim",)
            starts = tuple(range(0, width if one_head else width * count, width))
            found[role] = (starts, ()) if letter == "q" else ((), starts)
    return found


def rotary_order(checkpoint: Checkpoint) -> RotaryOrder | None:
    """The order that the trained weights show. None where too few rows or heads are turned to tell.

    Cost: every q and k matrix is read once; numpy only.
    """
    rows = rotated_rows(checkpoint) if checkpoint.model is not None else 0
    if rows < ROTARY_ROWS.value or not head_starts(checkpoint):
        return None
    layers = [_leads(cosines(q, k)) for q, k in _layers(checkpoint, rows)]
    leads = np.concatenate(layers, axis=1) if layers else np.empty((9, 0))  # [combinations, heads]
    if leads.shape[1] < ROTARY_HEADS.value or not np.isfinite(leads).all():
        return None
    best = int(np.argmax(leads.mean(axis=1)))
    q, k = list(product(WAYS, WAYS))[best]
    stderr = float(leads[best].std(ddof=1) / np.sqrt(leads.shape[1]))
    return RotaryOrder(q, k, float(leads[best].mean()), stderr, leads.shape[1])


def _layers(checkpoint: Checkpoint, rows: int) -> Iterator[tuple[Array, Array]]:
    """(q [heads, rows, width], k [kv heads, rows, width]) of each layer that holds both in the expected shape."""
    starts = head_starts(checkpoint)
    fused = "qkv" in starts
    names = [projections(checkpoint, role) for role in (("qkv", "qkv") if fused else ("q", "k"))]
    config = checkpoint.config
    last = max(s for part in (starts["qkv"] if fused else starts["q"]) for s in part) + config.head_dim
    for pair in zip(*names, strict=False):
        infos = [checkpoint.info(name) for name in pair]
        if any(len(i.shape) != 2 or not readable(i) for i in infos) or infos[0].shape[0] < last:
            continue
        values = [checkpoint.float32(i.name) for i in infos]
        places = starts["qkv"] if fused else (starts["q"][0], starts["k"][1])
        if max(places[1]) + config.head_dim > len(values[1]):
            continue
        yield tuple(np.stack([w[s : s + rows] for s in at]) for w, at in zip(values, places, strict=True))  # type: ignore[misc]


def _leads(found: Array) -> Array:
    """float64 [9, heads]: by how much each combination's sine term in halves is larger than as stored."""
    rows = np.arange(found.shape[1])
    half = rows[: len(rows) // 2]
    orders = {
        "as stored": rows,
        "to halves": rows.reshape(-1, 2).T.ravel(),
        "to adjacent": rows.reshape(2, -1).T.ravel(),
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = [sine(found[:, orders[q]][:, :, orders[k]], half, half + len(half)) for q, k in product(WAYS, WAYS)]
        leads: Array = (np.stack(terms) - terms[0]) / np.abs(found).mean(axis=(1, 2))
    return leads.astype(np.float64)
