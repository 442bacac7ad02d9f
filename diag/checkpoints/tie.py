"""Is the head the embedding? Answered from the bytes; the flag in config.json is only what was declared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.families import is_tied
from diag.checkpoints.reader import PIECE_ELEMENTS, Checkpoint, TensorInfo
from diag.checkpoints.sums import fresh_variation, variation

TieStatus = Literal[
    "not_applicable",
    "tied_absent",
    "tied_copy",
    "tied_diverged",
    "placeholder",
    "untied",
    "untied_copy",
    "missing",
    "reinterpreted_copy",
]
_SAMPLE = 512  # positions compared before a whole matrix is


@dataclass(frozen=True)
class Tie:
    """What the head is to the embedding. `declared` is config.json's flag, null when it is silent.

    max_abs_diff: the largest |head − embedding|, in weight units. cosine: the mean over rows of the cosine between
    the head's row and the embedding's, over rows where neither is zero. equal_rows_share: rows that agree in every
    byte. All null when there is nothing to compare.
    """

    status: TieStatus
    declared: bool | None
    max_abs_diff: float | None
    cosine: float | None
    equal_rows_share: float | None
    head: str | None
    embedding: str | None
    sentence: str


SENTENCES: dict[TieStatus, str] = {
    "not_applicable": "The file holds no embedding, so there is nothing to tie.",
    "tied_absent": "The head is the embedding, and the file rightly holds it only once.",
    "tied_copy": "The head is declared tied, and the file holds an exact second copy of the embedding.",
    "tied_diverged": "The head is declared tied, but the file holds a different one: which of the two is used decides "
    "the loss.",
    "placeholder": "The file lists a head but holds no data for it: whoever loads it gets whatever was in the buffer.",
    "untied": "The head and the embedding are two different matrices, as declared.",
    "untied_copy": "The head is declared untied, yet it is an exact copy of the embedding: the trained head is lost.",
    "missing": "The head is declared untied, but the file holds none: whoever loads it gets random weights.",
    "reinterpreted_copy": "The head holds the embedding's numbers in the other order: row-major was read as "
    "column-major.",
}


def tie_status(checkpoint: Checkpoint) -> Tie:
    """Compare head and embedding.

    Cost: nothing when one is absent; else both are read once in chunks (about 10 ns an element, 1.5 s for
    151 936 × 896), and a few more reads where the other order matches a sample of 512 positions.
    """
    family = checkpoint.family
    if family is None or "embedding" not in family.roles or "head" not in family.roles:
        return _tie("not_applicable", checkpoint, None, None)
    config = checkpoint.config
    embedding = checkpoint.tensors.get(family.roles["embedding"].tensor())
    head = checkpoint.tensors.get(family.roles["head"].tensor())
    tied = is_tied(family, config)
    if embedding is None or not embedding.elements:
        return _tie("not_applicable", checkpoint, head, embedding)
    if head is None:
        return _tie("tied_absent" if tied else "missing", checkpoint, None, embedding)
    if not head.elements:
        return _tie("placeholder", checkpoint, head, embedding)
    comparable = head.shape == embedding.shape and len(head.shape) == 2 and _numeric(head) and _numeric(embedding)
    numbers = _compare(checkpoint, head, embedding) if comparable else None
    status: TieStatus
    if numbers and numbers[2] == 1.0:
        status = "tied_copy" if tied else "untied_copy"
    elif _other_order(checkpoint, head, embedding):
        status = "reinterpreted_copy"
    else:
        status = "tied_diverged" if tied else "untied"
    return _tie(status, checkpoint, head, embedding, numbers)


def random_looking(matrix: Array) -> tuple[float, float]:
    """(coefficient of variation of the row norms, what a fresh Gaussian matrix of that width has).

    For rows of d independent Gaussians the second is 1/√(2d), whatever their scale. NaN when every row is zero.
    Cost: one pass over [rows, d] and a float64 of the rows.
    """
    cv = variation(np.sqrt(np.einsum("rc,rc->r", matrix, matrix, dtype=np.float64)))
    return (math.nan if cv is None else cv), fresh_variation(matrix.shape[-1])


def _tie(
    status: TieStatus,
    checkpoint: Checkpoint,
    head: TensorInfo | None,
    embedding: TensorInfo | None,
    numbers: tuple[float, float | None, float] | None = None,
) -> Tie:
    difference, cosine, equal = numbers or (None, None, None)
    return Tie(
        status=status,
        declared=checkpoint.model.tie_word_embeddings if checkpoint.model else None,
        max_abs_diff=difference,
        cosine=cosine,
        equal_rows_share=equal,
        head=head.name if head else None,
        embedding=embedding.name if embedding else None,
        sentence=SENTENCES[status],
    )


def _numeric(info: TensorInfo) -> bool:
    return DTYPES[info.dtype].decode is not None


def _compare(checkpoint: Checkpoint, head: TensorInfo, embedding: TensorInfo) -> tuple[float, float | None, float]:
    """(largest absolute difference, mean cosine of rows, share of equal rows), in row chunks.

    Equal means equal bit patterns after widening to float32, which keeps those of F32, BF16 and F16 apart.
    """
    largest, cosines, counted, equal = 0.0, 0.0, 0, 0
    pairs = zip(checkpoint.row_chunks(head.name), checkpoint.row_chunks(embedding.name), strict=True)
    for (_, h), (_, e) in pairs:
        same = np.all(h.view(np.uint32) == e.view(np.uint32), axis=1)
        equal += int(same.sum())
        with np.errstate(invalid="ignore", over="ignore"):
            # np.maximum keeps NaN; a NaN or inf that both hold in the same place is no difference
            gap = np.abs(h - e)[~same]
            largest = float(np.maximum(largest, gap.max())) if gap.size else largest
            dot = np.einsum("rc,rc->r", h, e, dtype=np.float64)
            norms = np.sqrt(np.einsum("rc,rc->r", h, h, dtype=np.float64))
            norms *= np.sqrt(np.einsum("rc,rc->r", e, e, dtype=np.float64))
        usable = norms > 0
        cosines += float((dot[usable] / norms[usable]).sum())
        counted += int(usable.sum())
    return largest, (cosines / counted if counted else None), equal / head.shape[0]


def _other_order(checkpoint: Checkpoint, head: TensorInfo, embedding: TensorInfo) -> bool:
    """Whether the head's buffer is the embedding's in column-major order, in either direction."""
    if len(embedding.shape) != 2 or head.dtype != embedding.dtype or not (head.streams and embedding.streams):
        return False
    if head.nbytes != embedding.nbytes:
        return False
    unit = f"u{DTYPES[head.dtype].block_bytes}"
    h, e = checkpoint.raw(head.name).view(unit), checkpoint.raw(embedding.name).view(unit)
    rows, width = embedding.shape
    return _is_transposed(h, e, rows, width) or _is_transposed(e, h, rows, width)


def _is_transposed(a: Array, b: Array, rows: int, width: int) -> bool:
    """Whether a [rows · width] read as [width, rows] and transposed is b read as [rows, width]."""
    at = np.random.default_rng(0).integers(0, rows * width, _SAMPLE)
    if not np.array_equal(a[at], b[(at % rows) * width + at // rows]):
        return False
    wide, tall = a.reshape(width, rows), b.reshape(rows, width)
    step = max(1, PIECE_ELEMENTS // width)
    return all(np.array_equal(wide[:, r : r + step].T, tall[r : r + step]) for r in range(0, rows, step))
