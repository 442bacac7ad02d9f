"""What comparing two checkpoints gives: one row a tensor, and the same with layers folded."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from diag.checkpoints.buffer_order import BufferOrder
from diag.checkpoints.fold import fold, split_layer
from diag.results import codec

Verdict = Literal[
    "only_here", "only_there", "unreadable", "misshapen", "not_finite", "zero", "constant", "partly", "coarse",
    "different", "copied", "gathered", "reinterpreted", "transposed", "permuted", "scaled", "shifted", "trained",
    "close", "equal",
]  # fmt: skip

# In the order in which they are listed: what no rule explains first.
VERDICTS: dict[Verdict, str] = {
    "not_finite": "Values here are not finite, and those of the other checkpoint are.",
    "zero": "Zero everywhere here, and not in the other checkpoint.",
    "constant": "One value everywhere here, and not in the other checkpoint: never written.",
    "partly": "Some rows are equal; the others are zero, not finite, or unlike the other checkpoint's.",
    "coarse": "Rounded to so few levels that little of the values is left: no quantised copy.",
    "different": "The values differ, and no rule turns one into the other.",
    "copied": "The values of another tensor of the other checkpoint.",
    "gathered": "The rows of other tensors of the other checkpoint, put together differently.",
    "misshapen": "The shapes differ, and not by a transposition.",
    "only_here": "Only this checkpoint holds it.",
    "only_there": "Only the other checkpoint holds it.",
    "unreadable": "One of the two holds no data, or a type that is not read as numbers.",
    "reinterpreted": "The same bytes read in another order or under another tag.",
    "transposed": "The same values, rows and columns exchanged.",
    "permuted": "The same rows or columns in another order.",
    "scaled": "The same values times a constant.",
    "shifted": "The same values plus a constant.",
    "trained": "The values resemble each other as before and after training.",
    "close": "Equal up to what the coarser of the two stored types rounds, or the grid that the values here stand on.",
    "equal": "Equal bit for bit as float32.",
}
# Verdicts that make two tensors one in two forms.
SAME: frozenset[Verdict] = frozenset(
    ("copied", "gathered", "reinterpreted", "transposed", "permuted", "scaled", "shifted", "close", "equal")
)
_RANK = {verdict: rank for rank, verdict in enumerate(VERDICTS)}
VARIES = "varies by layer"


@dataclass(frozen=True)
class TensorDifference:
    """One tensor of both checkpoints; "here" is the first one, "there" the other.

    max_abs_diff: largest |here − there|, in the tensor's unit. relative: ‖here − there‖ / ‖there‖ (Frobenius).
    cosine: of the two as vectors. equal_rows_share: rows (of the last dimension) with equal bits in float32. All
    null where elements cannot be paired. number: the factor or the shift. against: the tensor there, where it has
    another name: a head that is only here is held against the embedding that is tied there. order: how the buffer
    here must be read to give the matrix there. held: the verdict on the two, where the name is only on one side.
    source: the tensor there whose values a copy holds. approximate: the verdict holds up to training, not up to
    rounding. bits: of the grid that the values here stand on, where that, and not the stored type, is what rounds;
    block_type: the type that writes that grid, where one does exactly.
    """

    name: str
    verdict: Verdict
    detail: str
    dtype_here: str | None
    dtype_there: str | None
    shape_here: tuple[int, ...] | None
    shape_there: tuple[int, ...] | None
    max_abs_diff: float | None = None
    relative: float | None = None
    cosine: float | None = None
    equal_rows_share: float | None = None
    number: float | None = None
    against: str | None = None
    order: BufferOrder | None = None
    source: str | None = None
    approximate: bool = False
    held: Verdict | None = None
    bits: int | None = None
    block_type: str | None = None

    @property
    def pattern(self) -> Verdict:
        """What the values are to each other, wherever they stand."""
        return self.held or self.verdict

    @property
    def same(self) -> bool:
        """Whether the two are one tensor in two forms: equal, or equal up to rounding or a named pattern."""
        return self.pattern in SAME and not self.approximate


@dataclass(frozen=True)
class FoldedRow:
    """Tensors that differ only in the layer and have one verdict. `name` reads `model.layers.{0…23}.…`. Of the numbers
    the worst stands here: the largest difference, the lowest cosine and share."""

    name: str
    verdict: Verdict
    count: int
    detail: str
    dtype_here: str | None
    dtype_there: str | None
    max_abs_diff: float | None
    relative: float | None
    cosine: float | None
    equal_rows_share: float | None
    tensors: tuple[str, ...]


@dataclass(frozen=True)
class ConfigDifference:
    """A value of the configuration that the two do not share. setting: what is changed as a whole with it; None where
    it has no effect on a forward pass."""

    key: str
    here: Any
    there: Any
    setting: str | None = None


@dataclass(frozen=True)
class CheckpointComparison:
    """The whole comparison. tensors: every one, largest difference first; rows: the same, layers folded."""

    here: str
    there: str
    tensors: tuple[TensorDifference, ...]
    rows: tuple[FoldedRow, ...]
    config: tuple[ConfigDifference, ...]
    counts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """The key `compare` of `checkpoint --json`; non-finite numbers are strings."""
        answer: dict[str, Any] = codec.plain(
            {
                "path": self.there,
                "rows": self.rows,
                "counts": self.counts,
                "config": self.config,
                "tensors": self.tensors,
            }
        )
        return answer


def fold_rows(tensors: tuple[TensorDifference, ...]) -> tuple[FoldedRow, ...]:
    """Layers of one verdict together, in the order of their first member."""
    groups: dict[tuple[str, Verdict], list[TensorDifference]] = defaultdict(list)
    for one in tensors:
        groups[split_layer(one.name)[0], one.verdict].append(one)
    rows = []
    for (template, verdict), members in groups.items():
        layers = [layer for one in members if (layer := split_layer(one.name)[1]) is not None]
        rows.append(
            FoldedRow(
                name=fold(template, layers),
                verdict=verdict,
                count=len(members),
                detail=_common(one.detail for one in members) or "",
                dtype_here=_common(one.dtype_here for one in members),
                dtype_there=_common(one.dtype_there for one in members),
                max_abs_diff=_worst(one.max_abs_diff for one in members),
                relative=_worst(one.relative for one in members),
                cosine=_worst((one.cosine for one in members), lowest=True),
                equal_rows_share=_worst((one.equal_rows_share for one in members), lowest=True),
                tensors=tuple(one.name for one in sorted(members, key=lambda one: split_layer(one.name)[1] or 0)),
            )
        )
    return tuple(rows)


def largest_first(one: TensorDifference) -> tuple[int, float, str, int]:
    """Unexplained first, then by the relative difference, largest first; what has none counts as infinite."""
    relative = math.inf if one.relative is None or math.isnan(one.relative) else one.relative
    template, layer = split_layer(one.name)
    return _RANK[one.verdict], -relative, template, -1 if layer is None else layer


def _common(values: Iterator[Any]) -> Any:
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else VARIES


def _worst(values: Iterator[float | None], *, lowest: bool = False) -> float | None:
    known = [value for value in values if value is not None]
    if any(math.isnan(value) for value in known):
        return math.nan
    return (min if lowest else max)(known, default=None)
