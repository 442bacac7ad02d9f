"""Rules about rows of the embedding and the head that were never trained: zero, equal, or a fresh-looking end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diag.checkpoints.audit.facts import TOKENS, CheckpointFacts, TensorFacts
from diag.checkpoints.audit.rule import NO_SUCH_TOKEN, AuditFinding, AuditRule, Check
from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.sums import fresh_variation, variation
from diag.checkpoints.reader import Checkpoint
from diag.results import thresholds_checkpoints as limits

UNTRAINED_ROWS = AuditRule(
    "untrained_rows",
    "info",
    "The last {count:,} rows of {tensor}, from id {first:,} on, {looks}: padding that was never trained.",
    "Nothing, as long as no token has such an id and the head's rows for them do not win.",
    "last rows of an embedding or head whose norms vary no more than fresh ones, and whose directions have nothing in "
    "common, as random ones, or are one and the same, as those of ids that never occurred",
    "the last 200 rows of the embedding Gaussian",
)
ZERO_IDS = AuditRule(
    "zero_ids",
    "info",
    "{count:,} rows of {tensor} are zero, the first with id {first:,}: padding, or tokens never used.",
    NO_SUCH_TOKEN,
    "rows of embedding or head that are zero",
    "the last 96 rows of the embedding zero",
)
EQUAL_ROWS = AuditRule(
    "equal_rows",
    "info",
    "{count:,} rows of {tensor} are equal to the one with id {first:,} in every byte: padding, or tokens never "
    "trained.",
    NO_SUCH_TOKEN,
    "rows of embedding or head that are equal in every byte",
    "the last 96 rows of the embedding equal",
)


def check_token_rows(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Cost: equal rows are read once more, at most limits.EQUAL_ROWS of them; where the end may be padding, the whole
    matrix."""
    for tensor in facts.tensors:
        wanted = tensor.role in TOKENS and len(tensor.info.shape) == 2
        if not wanted or tensor.stats.nonfinite or not tensor.stats.rms:
            continue
        squares = tensor.scan.row_squares
        if zero := np.flatnonzero(squares == 0).tolist():
            yield ZERO_IDS.finding(tensor.name, count=len(zero), first=zero[0])
        if (equal := _equal_rows(facts.checkpoint, tensor)) and len(equal) > 1:
            yield EQUAL_ROWS.finding(tensor.name, count=len(equal) - 1, first=equal[0])
            continue
        first = _fresh_tail(np.sqrt(squares), tensor.info.shape[1])
        if first is not None and (looks := _untrained(facts.checkpoint, tensor, first)):
            yield UNTRAINED_ROWS.finding(tensor.name, count=len(squares) - first, first=first, looks=looks)


def _equal_rows(checkpoint: Checkpoint, tensor: TensorFacts) -> list[int]:
    """Ids of the largest group of equal rows that are not zero. Candidates have the same norm to the last bit; at most
    limits.EQUAL_ROWS of them are read and compared."""
    squares = tensor.scan.row_squares
    kinds, inverse, counts = np.unique(squares, return_inverse=True, return_counts=True)
    counts[kinds == 0] = 0
    if not len(counts) or counts.max() < 2 or not tensor.info.streams:
        return []
    ids = np.flatnonzero(inverse == counts.argmax())[: int(limits.EQUAL_ROWS.value)].tolist()
    width = tensor.info.shape[1]
    first = checkpoint.flat(tensor.name, ids[0] * width, (ids[0] + 1) * width)
    return [i for i in ids if np.array_equal(checkpoint.flat(tensor.name, i * width, (i + 1) * width), first)]


def _fresh_tail(norms: Array, width: int) -> int | None:
    """First id of the longest end of the rows whose norms vary no more than fresh ones; None if the rest is no more
    varied either, or the end is short."""
    backwards = norms[::-1].astype(np.float64)
    n = np.arange(1, len(norms) + 1)
    mean = np.cumsum(backwards) / n
    spread = np.sqrt(np.maximum(np.cumsum(backwards**2) / n - mean**2, 0.0))
    allowed = limits.PADDING_VARIATION.value * fresh_variation(width)
    quiet = np.flatnonzero((spread < allowed * mean) & (n >= limits.PADDING_ROWS.value))
    length = int(quiet[-1]) + 1 if len(quiet) else 0
    if not length or length > limits.PADDING_SHARE.value * len(norms):
        return None
    return len(norms) - length if (variation(norms) or 0.0) >= limits.PADDING_REST.value * allowed else None


def _untrained(checkpoint: Checkpoint, tensor: TensorFacts, first: int) -> str | None:
    """What shows that the rows from `first` on were not trained; None if nothing does. Trained rows have a direction in
    common and differ beside it: their cosines are neither about 0 nor about 1."""
    count, width = len(tensor.scan.row_squares) - first, tensor.info.shape[1]
    ids = first + np.unique(np.linspace(0, count - 1, int(limits.PADDING_COMPARED.value)).astype(int))
    chunks = checkpoint.row_chunks(tensor.name)
    rows = np.concatenate([r[ids[(ids >= at) & (ids < at + len(r))] - at] for at, r in chunks]).astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    rows = rows[norms > 0] / norms[norms > 0, None]
    cosines = (rows @ rows.T)[np.tri(len(rows), k=-1, dtype=bool)]
    if cosines.mean() > limits.PADDING_ALIKE.value:
        return "are nearly one and the same"
    chance = limits.PADDING_SCATTERS.value / np.sqrt(width * len(cosines))
    if abs(cosines.mean()) < max(limits.PADDING_UNRELATED.value, chance):
        return "look random"
    return None


CHECK = Check((UNTRAINED_ROWS, ZERO_IDS, EQUAL_ROWS), check_token_rows)
