"""What a defect looks like in the weights, without a forward pass: the table of signatures. A new one is a file of this
folder and a row here; its error rates belong into docs/signatures.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diag.checkpoints.signatures.fresh import fresh_distribution
from diag.checkpoints.signatures.layout import layout_scores
from diag.checkpoints.signatures.rotary import rotary_pairing
from diag.checkpoints.signatures.rotary_rows import rotary_order
from diag.checkpoints.signatures.tie import tie_status


@dataclass(frozen=True)
class WeightSignature:
    """A row. read: the function that gives it. decides: the question it answers, which is the heading of its section in
    docs/signatures.md."""

    name: str
    read: Callable[..., object]
    decides: str


SIGNATURES: tuple[WeightSignature, ...] = (
    WeightSignature("tie", tie_status, "Tie: is the head the embedding?"),
    WeightSignature("layout", layout_scores, "Layout: was a matrix read in the wrong order?"),
    WeightSignature("rotary", rotary_pairing, "Rotary pairing: which rows are turned together?"),
    WeightSignature("rotary_rows", rotary_order, "Rotary rows: in which order do those of Q and K stand?"),
    WeightSignature("fresh", fresh_distribution, "Fresh initialisation: was a matrix ever trained?"),
)
