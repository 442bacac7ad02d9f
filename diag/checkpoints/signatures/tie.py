"""Is the head the embedding? Answered from the bytes; the flag in config.json is only what was declared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from diag.checkpoints.buffer_order import BufferOrder
from diag.checkpoints.dtypes import Array
from diag.checkpoints.families import is_tied
from diag.checkpoints.passes import row_pairs
from diag.checkpoints.passes.scan import direct, pieces, readable, use_numba
from diag.checkpoints.reader import Checkpoint, TensorInfo
from diag.checkpoints.signatures.reorder import buffer_order, bytes_swapped
from diag.checkpoints.signatures.rounded import only_rounding

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
    "tied_rounded",
]
# Where an architecture is not in the table: usual names of both, in the order in which they are looked for.
EMBEDDINGS = (
    *("model.embed_tokens.weight", "transformer.wte.weight", "gpt_neox.embed_in.weight", "backbone.embeddings.weight"),
    *("backbone.embedding.weight", "model.decoder.embed_tokens.weight", "transformer.word_embeddings.weight"),
)
HEADS = ("lm_head.weight", "embed_out.weight", "output.weight")


@dataclass(frozen=True)
class Tie:
    """What the head is to the embedding. `declared` is config.json's flag, null when it is silent.

    max_abs_diff: the largest |head − embedding|, in weight units. cosine: the mean over rows of the cosine between
    the head's row and the embedding's, over rows where neither is zero. equal_rows_share: rows that agree in every
    byte. All null when there is nothing to compare. order: for a `reinterpreted_copy`, the order in which the head's
    buffer is the embedding; null where it is the bytes of each element that are swapped.
    """

    status: TieStatus
    declared: bool | None
    max_abs_diff: float | None
    cosine: float | None
    equal_rows_share: float | None
    head: str | None
    embedding: str | None
    sentence: str
    order: BufferOrder | None = None


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
    "tied_rounded": "The head is declared tied, and the file holds a second copy of the embedding; the two differ by "
    "rounding only.",
}
# Where the file does not say whether the head is tied.
UNDECLARED: dict[TieStatus, str] = {
    "tied_absent": "The file holds no head, and nothing says whether it is tied; such a model uses the embedding.",
    "tied_copy": "Nothing says whether the head is tied; it is an exact copy of the embedding, as in every tied model.",
    "tied_diverged": "Nothing says whether the head is tied. This family ties it, but the file holds a different one: "
    "which of the two is used decides the loss.",
    "untied": "The head and the embedding are two different matrices; nothing says whether they are tied.",
    "untied_copy": "Nothing says that the head is tied, and this family does not tie it; yet it is an exact copy of "
    "the embedding: the trained head may be lost.",
    "missing": "The file holds no head, and nothing says that it is tied, which this family does not do by itself: "
    "whoever loads it gets random weights.",
    "tied_rounded": "Nothing says whether the head is tied; it is a second rounding of the embedding, as a tied model "
    "has when both are stored.",
}
UNTIED_ROUNDED = (
    "The head is declared untied, yet it differs from the embedding by rounding only: the trained head may be lost."
)
BYTE_ORDER = "The head holds the embedding's numbers with their bytes swapped: big-endian was read as little-endian."


def tie_status(checkpoint: Checkpoint) -> Tie:
    """Compare head and embedding.

    Cost: nothing when one is absent; else both are read once in pieces (0.15 s for 151 936 × 896 in bfloat16), and a
    few more times where another order of the buffer matches a sample of 512 positions, or where their rows are nearly
    parallel (tied_rounded). Quantised and transformed
    tensors are compared as float32.
    """
    names = _names(checkpoint)
    if names is None:
        return _tie("not_applicable", checkpoint, None, None)
    head, embedding = checkpoint.tensors.get(names[0]), checkpoint.tensors.get(names[1])
    # Where no family says what silence means, a file without a head is a tied one, and one with a head is not.
    silent = head is None if _declared(checkpoint) is None else bool(_declared(checkpoint))
    tied = is_tied(checkpoint.family, checkpoint.config) if checkpoint.family else silent
    if embedding is None or not embedding.elements:
        return _tie("not_applicable", checkpoint, head, embedding)
    if head is None:
        return _tie("tied_absent" if tied else "missing", checkpoint, None, embedding)
    if not head.elements:
        return _tie("placeholder", checkpoint, head, embedding)
    compared = _compare(checkpoint, head, embedding)
    sentence, order = "", None
    if compared and compared.equal_rows == 1.0:
        unsaid = not checkpoint.states_tie and _declared(checkpoint) is None  # a copy contradicts nothing
        status: TieStatus = "tied_copy" if tied or unsaid else "untied_copy"
    elif bytes_swapped(checkpoint, head, embedding):
        status, sentence = "reinterpreted_copy", BYTE_ORDER
    elif order := buffer_order(checkpoint, head, embedding):
        status = "reinterpreted_copy"
    elif compared and only_rounding(
        head, embedding, compared.cosine, _side_by_side(checkpoint, head, embedding, False)
    ):
        status = "tied_rounded"
        sentence = UNTIED_ROUNDED if _declared(checkpoint) is False else ""
    else:
        status = "tied_diverged" if tied else "untied"
    found = replace(_tie(status, checkpoint, head, embedding), order=order)
    found = replace(found, sentence=sentence or found.sentence)
    if compared is None:
        return found
    return replace(found, max_abs_diff=compared.largest, cosine=compared.cosine, equal_rows_share=compared.equal_rows)


_Matrix = TensorInfo | None


def _tie(status: TieStatus, checkpoint: Checkpoint, head: _Matrix, embedding: _Matrix) -> Tie:
    declared = _declared(checkpoint)
    return Tie(
        status=status,
        declared=declared,
        max_abs_diff=None,
        cosine=None,
        equal_rows_share=None,
        head=head.name if head else None,
        embedding=embedding.name if embedding else None,
        sentence=SENTENCES[status] if declared is not None else UNDECLARED.get(status, SENTENCES[status]),
    )


def _declared(checkpoint: Checkpoint) -> bool | None:
    """What the file itself states; None where it was worked out or is the family's default."""
    if checkpoint.model:
        stated = checkpoint.sources.get("tie_word_embeddings") == "file"
        return checkpoint.model.tie_word_embeddings if stated else None
    flag = checkpoint.known.get("tie_word_embeddings")
    return flag if isinstance(flag, bool) else None


def _names(checkpoint: Checkpoint) -> tuple[str, str] | None:
    """(head, embedding) as the family calls them, or by usual names; None for a family without a head."""
    if checkpoint.family is not None:
        roles = checkpoint.family.roles
        return (roles["head"].tensor(), roles["embedding"].tensor()) if {"head", "embedding"} <= set(roles) else None
    found = [next((n for n in names if n in checkpoint.tensors), names[0]) for names in (HEADS, EMBEDDINGS)]
    return found[0], found[1]


@dataclass(frozen=True, eq=False)
class _Compared:
    """largest: absolute difference. equal_rows: their share. cosine: mean over rows that are finite and not zero."""

    largest: float
    equal_rows: float
    cosine: float | None


def _compare(checkpoint: Checkpoint, head: TensorInfo, embedding: TensorInfo) -> _Compared | None:
    """Row by row; None for two that are not matrices of numbers of one shape.

    Equal means equal bit patterns after widening to float32, which keeps those of F32, BF16 and F16 apart.
    """
    if head.shape != embedding.shape or len(head.shape) != 2 or not (readable(head) and readable(embedding)):
        return None
    compiled = use_numba(checkpoint)
    compare = row_pairs.compiled_compare() if compiled else row_pairs.compare_numpy
    rows = row_pairs.RowPairs.empty(head.shape[0])
    for start, h, e in _side_by_side(checkpoint, head, embedding, compiled):
        compare(h, e, start, rows)
    equal, gaps, dots, norms = rows
    usable = (norms > 0) & np.isfinite(norms) & np.isfinite(dots)
    cosines = np.clip(dots[usable] / norms[usable], -1.0, 1.0)  # rounding may go a little beyond
    return _Compared(float(gaps.max()), float(equal.mean()), float(cosines.mean()) if cosines.size else None)


def _side_by_side(
    checkpoint: Checkpoint, a: TensorInfo, b: TensorInfo, compiled: bool
) -> Iterator[tuple[int, Array, Array]]:
    """(first row, rows of a, the same rows of b), float32, over two matrices of one shape."""
    if direct(a, compiled) and direct(b, compiled):
        pairs = zip(pieces(checkpoint, a, compiled, "a"), pieces(checkpoint, b, compiled, "b"), strict=True)
    else:
        pairs = zip(checkpoint.row_chunks(a.name), checkpoint.row_chunks(b.name), strict=True)
    yield from ((first, x, y) for (first, x), (_, y) in pairs)
