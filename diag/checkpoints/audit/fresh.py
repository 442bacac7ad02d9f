"""Rules about training that did not happen: fresh matrices, layers, models, and rows of the embedding.

The rows of a fresh Gaussian matrix [n, d] have norms with a coefficient of variation near 1/√(2d), its columns one near
1/√(2n), whatever its scale; uniform ones 0.632 times that (kurtosis 1.8 instead of 3). Training spreads both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

import numpy as np

from diag.checkpoints.audit.codes import AuditFinding, finding
from diag.checkpoints.audit.facts import TOKENS, Fact
from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.sums import fresh_variation, variation
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.signatures.layout import LayoutScore

KINDS = {"Gaussian": 1.0, "uniform": math.sqrt(0.4)}
# Trained embeddings and heads of two small Qwen2 have 2.7 to 3.8 times the fresh variation.
TOLERANCE = 0.1
SCATTERS = 3.0  # … or three times the scatter of the estimate itself, 1/√(2n) of n norms, where that is more
MIN_NORMS = 32  # below, the scatter alone exceeds a third
# A layer is called fresh beside neighbours that are clearly not: more varied than this many times a fresh one.
TRAINED = 1.5
FEW = 0.25  # of the matrices may resemble no other: beyond, little was learnt at all (docs/signatures.md)
MOST = 0.9  # of all matrices fresh: the model is, and single layers are not listed
PADDING = 1.3  # the last rows are padding while they vary no more than this many times a fresh matrix …
MIN_PADDING = 8  # … and there are so many of them
MAX_EQUAL = 4096  # equal rows compared byte by byte


def fresh(tensors: Sequence[Fact], scores: Sequence[LayoutScore] = ()) -> Iterator[AuditFinding]:
    """Embedding and head on their own; other matrices against the rest of the model; the model as a whole.

    With layout scores, a matrix is fresh that resembles no other in any order while most do (docs/signatures.md: norms
    of rows alone are as even in trained v, gate and up). Without, its norms are held against those of the same role.
    """
    matrices = [f for f in tensors if f.kind == "matrix" and len(f.info.shape) == 2 and not f.stats.nonfinite]
    looks = {f.name: _fresh_kind(f) for f in matrices}
    for fact in matrices:
        if fact.tokens and (kind := looks[fact.name]):
            yield _one("fresh_init", fact, kind)
    judged = [f for f in matrices if not f.tokens and min(f.info.shape) >= MIN_NORMS]
    count = sum(looks[f.name] is not None for f in judged)
    if judged and count >= MOST * len(judged):
        yield finding("fresh_model", count=count, total=len(judged))
        return
    alien = {s.tensor for s in scores if s.undecided}
    if scores:
        if len(alien) <= FEW * len(scores):
            yield from (finding("fresh_matrix", f.name) for f in judged if f.name in alien and f.stats.rms)
        return
    for fact in judged:
        kind = looks[fact.name]
        others = [f for f in judged if f.role == fact.role and f.role is not None and f.name != fact.name]
        spread = [f.stats.row_norm_cv or 0.0 for f in others]
        trained = [cv for cv, f in zip(spread, others, strict=True) if cv > TRAINED * fresh_variation(f.info.shape[1])]
        if kind and len(trained) >= 2 and 2 * len(trained) >= len(others):
            yield _one("fresh_layer", fact, kind, others=median(spread))


def _one(code: str, fact: Fact, kind: str, **more: float) -> AuditFinding:
    expected = KINDS[kind] * fresh_variation(fact.info.shape[1])
    return finding(code, fact.name, cv=fact.stats.row_norm_cv or 0.0, expected=expected, kind=kind, **more)


def _fresh_kind(fact: Fact) -> str | None:
    """Which fresh matrix the tensor is like in rows and in columns, if any."""
    rows, columns = fact.scan.row_squares, fact.scan.column_squares
    if columns is None:
        return None
    by_row, by_column = variation(np.sqrt(rows)), variation(np.sqrt(columns))
    for kind, factor in KINDS.items():
        if _near(by_row, factor * fresh_variation(len(columns)), len(rows)) and _near(
            by_column, factor * fresh_variation(len(rows)), len(columns)
        ):
            return kind
    return None


def _near(found: float | None, expected: float, norms: int) -> bool:
    """Whether a variation estimated from so many norms is the expected one."""
    allowed = max(TOLERANCE, SCATTERS / math.sqrt(2 * norms))
    return found is not None and norms >= MIN_NORMS and abs(found / expected - 1) < allowed


def token_rows(checkpoint: Checkpoint, tensors: Sequence[Fact]) -> Iterator[AuditFinding]:
    """Rows of embedding and head that were never trained: zero, equal to each other, or a fresh-looking end."""
    for fact in tensors:
        if fact.role not in TOKENS or len(fact.info.shape) != 2 or fact.stats.nonfinite or not fact.stats.rms:
            continue
        squares = fact.scan.row_squares
        if zero := np.flatnonzero(squares == 0).tolist():
            yield finding("zero_ids", fact.name, count=len(zero), first=zero[0])
        if (equal := _equal_rows(checkpoint, fact)) and len(equal) > 1:
            yield finding("equal_rows", fact.name, count=len(equal) - 1, first=equal[0])
            continue
        first = _fresh_tail(np.sqrt(squares), fact.info.shape[1])
        if first is not None:
            yield finding("untrained_rows", fact.name, count=len(squares) - first, first=first)


def _equal_rows(checkpoint: Checkpoint, fact: Fact) -> list[int]:
    """Ids of the largest group of equal rows that are not zero. Candidates have the same norm to the last bit; at most
    MAX_EQUAL of them are read and compared."""
    squares = fact.scan.row_squares
    kinds, inverse, counts = np.unique(squares, return_inverse=True, return_counts=True)
    counts[kinds == 0] = 0
    if not len(counts) or counts.max() < 2:
        return []
    ids = np.flatnonzero(inverse == counts.argmax())[:MAX_EQUAL].tolist()
    if not fact.info.streams:
        return []
    width = fact.info.shape[1]
    first = checkpoint.flat(fact.name, ids[0] * width, (ids[0] + 1) * width)
    return [i for i in ids if np.array_equal(checkpoint.flat(fact.name, i * width, (i + 1) * width), first)]


def _fresh_tail(norms: Array, width: int) -> int | None:
    """First id of the longest end of the rows whose norms vary no more than fresh ones; None if the rest is no more
    varied either, or the end is short."""
    backwards = norms[::-1].astype(np.float64)
    n = np.arange(1, len(norms) + 1)
    mean = np.cumsum(backwards) / n
    spread = np.sqrt(np.maximum(np.cumsum(backwards**2) / n - mean**2, 0.0))
    quiet = np.flatnonzero((spread < PADDING * fresh_variation(width) * mean) & (n >= MIN_PADDING))
    length = int(quiet[-1]) + 1 if len(quiet) else 0
    whole = variation(norms) or 0.0
    if not length or length > len(norms) // 2 or whole < 2 * PADDING * fresh_variation(width):
        return None
    return len(norms) - length
