"""Do the rows of embedding and head belong together? In an untied model both learn what a token is like."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.reader import Checkpoint

MOST_PLACES = 256  # rows are looked for up to so many places away
_ROWS = 4096  # compared for each number of places


@dataclass(frozen=True)
class RowAlignment:
    """How far the mean cosine of the head's row and the embedding's row of one token exceeds 0, in standard errors: as
    stored, and the highest, with the embedding's rows `places` further down."""

    as_stored: float
    best: float
    places: int


def row_alignment(checkpoint: Checkpoint) -> RowAlignment | None:
    """None where there are not two matrices of one shape.

    Five sound untied models of 4,096 rows have 5.0 to 19 as stored, and 0.0 to 3.4 with the rows 1 to 7 places off. It
    says nothing of a model whose loss is sound. Costs one read of both, and 512 products of 4,096 rows.
    """
    family = checkpoint.family
    if family is None or not {"head", "embedding"} <= set(family.roles):
        return None
    infos = [checkpoint.tensors.get(family.roles[key].tensor()) for key in ("head", "embedding")]
    if any(i is None or not i.elements or len(i.shape) != 2 for i in infos):
        return None
    head, embedding = (_directions(checkpoint.float32(i.name)) for i in infos if i is not None)
    if head.shape != embedding.shape:
        return None
    at = np.random.default_rng(0).permutation(len(head))[:_ROWS]
    places = range(-MOST_PLACES, MOST_PLACES + 1)
    scores = [_score((head[at] * embedding[(at + k) % len(head)]).sum(axis=1)) for k in places]
    best = int(np.argmax(scores))
    return RowAlignment(scores[MOST_PLACES], scores[best], places[best])


def _directions(rows: np.ndarray) -> np.ndarray:
    centred = np.nan_to_num(rows - rows.mean(axis=0))
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norms, where=norms > 0, out=np.zeros_like(centred))


def _score(angles: np.ndarray) -> float:
    spread = float(angles.std())
    return float(angles.mean()) / (spread / math.sqrt(len(angles))) if spread else 0.0
