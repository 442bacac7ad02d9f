"""Which rows of Q and K does rotary embedding turn together? A signature without a forward pass.

A head rotates its rows in pairs (a, b), and the score of two positions depends on their distance through
q_a · k_b − q_b · k_a (the sine term of RoFormer, arXiv 2104.09864, written out for one pair). Training gives it more
weight in the true pairs than in others. Hugging Face's code pairs row i with row i + d/2 ("halves"); the original Llama
and GGUF pair row 2i with row 2i + 1 ("adjacent"). Error rates: docs/signatures.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import Checkpoint, projections
from diag.results.thresholds_checkpoints import ROTARY_ERRORS, ROTARY_HEADS, ROTARY_LEAD


@dataclass(frozen=True)
class RotaryScore:
    """How a file's Q and K rows are paired, over all layers and heads.

    lead: mean over `heads` (query heads of all layers) of the sine term in halves less that in adjacent pairs, in units
    of the head's mean |cosine| of a q row with a k row. Positive for halves. stderr: of that mean. layers_agreeing: of
    `layers`, those whose own lead has the same sign. pairing: "unclear" where the lead is small, as in a model that was
    never trained, or with only one of Q and K permuted.
    """

    lead: float
    stderr: float
    heads: int
    layers_agreeing: int
    layers: int
    pairing: Literal["halves", "adjacent", "unclear"]


def rotary_pairing(checkpoint: Checkpoint) -> RotaryScore | None:
    """The pairing that the trained weights show. None for a family without separate q and k matrices, or too few heads.

    Cost: every q and k matrix is read once; 3 ms for a head of 128 rows and width 4096; numpy only.
    """
    if checkpoint.family is None or checkpoint.model is None:
        return None
    config = checkpoint.config
    rows, width = config.head_dim, config.hidden_size

    def layers() -> Iterable[tuple[Array, Array]]:
        pairs = zip(projections(checkpoint, "q"), projections(checkpoint, "k"), strict=False)
        for q, k in pairs:
            wanted = [(config.num_heads * rows, width), (config.num_kv_heads * rows, width)]
            infos = [checkpoint.info(q), checkpoint.info(k)]
            if [i.shape for i in infos] == wanted and all(readable(i) for i in infos):
                yield tuple(checkpoint.float32(i.name).reshape(-1, rows, width) for i in infos)  # type: ignore[misc]

    return pairing(layers())


def pairing(layers: Iterable[tuple[Array, Array]]) -> RotaryScore | None:
    """The same from (q [heads, rows, width], k [kv heads, rows, width]) of each layer: rotated rows only, an even
    number of them, heads a multiple of kv heads; other layers are passed over."""
    found = [_leads(q, k) for q, k in layers if q.shape[1] % 4 == 0 and len(k) and len(q) % len(k) == 0]
    leads = np.concatenate(found) if found else np.empty(0)
    if len(leads) < ROTARY_HEADS.value or not np.isfinite(leads).all():
        return None
    lead, stderr = float(leads.mean()), float(leads.std(ddof=1) / np.sqrt(len(leads)))
    named = abs(lead) > max(ROTARY_LEAD.value, ROTARY_ERRORS.value * stderr)
    agreeing = sum(bool(part.mean() * lead > 0) for part in found)
    return RotaryScore(
        lead=lead,
        stderr=stderr,
        heads=len(leads),
        layers_agreeing=agreeing,
        layers=len(found),
        pairing=("halves" if lead > 0 else "adjacent") if named else "unclear",
    )


def cosines(q: Array, k: Array) -> Array:
    """float32 [heads, rows, rows]: of every q row with every row of the k head that it reads. q: [heads, rows, width],
    k: [kv heads, rows, width]; NaN for a row of zeros."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        unit_q, unit_k = (x / np.linalg.norm(x, axis=2, keepdims=True) for x in (q, k))
        group = np.arange(len(q)) // (len(q) // len(k))
        found: Array = unit_q @ unit_k[group].swapaxes(1, 2)
    return found


def sine(found: Array, first: Array, second: Array) -> Array:
    """[heads]: the mean |sine term| of the pairs (first, second) of a head's rows, from their cosines."""
    term: Array = np.abs(found[:, first, second] - found[:, second, first]).mean(axis=1)
    return term


def _leads(q: Array, k: Array) -> Array:
    """float64 [heads]: by how much the sine term is larger in halves than in adjacent pairs."""
    found, rows = cosines(q, k), np.arange(q.shape[1] // 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        halves, adjacent = sine(found, rows, rows + len(rows)), sine(found, 2 * rows, 2 * rows + 1)
        leads: Array = (halves - adjacent) / np.abs(found).mean(axis=(1, 2))
    return leads.astype(np.float64)
