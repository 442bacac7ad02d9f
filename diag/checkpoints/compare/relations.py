"""What turns a tensor into another that is not equal: a shift, a factor, another order, another tag. A table of rules.

A rule proposes, and every element is then checked against what rounding explains, so a verdict is never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from diag.checkpoints.buffer_order import BufferOrder, reread
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.passes.paired_sums import PairedSums
from diag.checkpoints.passes.rounding import Rounding, coarsened
from diag.checkpoints.reader import Checkpoint, TensorInfo, same_bytes
from diag.checkpoints.signatures.rotary_rows import head_starts, rotated_rows
from diag.results.thresholds_checkpoints import RELATION_ELEMENTS, SUM_ROUNDING

PIECE = 1 << 17  # elements compared at once: most rules end at their first piece
SUMMED = SUM_ROUNDING.value
FEW = RELATION_ELEMENTS.value

# How the detail of a relation begins where rows stand in the other order of rotary pairs.
ROTARY_PAIRS = "rotary pairs"
# And where heads stand in another order, told from sampled rows.
WHOLE_HEADS = "whole heads"

Change = Callable[[Array], Array]
Related = Literal["permuted", "transposed", "reinterpreted", "scaled", "shifted"]


@dataclass(frozen=True)
class Relation:
    """What was found. detail: one clause for people. number: the factor, or the shift in the tensor's unit. order: how
    the buffer here must be read to give the matrix there."""

    verdict: Related
    detail: str
    number: float | None = None
    order: BufferOrder | None = None


@dataclass(frozen=True, eq=False)
class Pair:
    """One tensor in two checkpoints; their float32 values are loaded when a rule asks, and no more than these two."""

    here: Checkpoint
    there: Checkpoint
    mine: TensorInfo
    theirs: TensorInfo
    rounding: Rounding
    sums: PairedSums | None

    @property
    def same_shape(self) -> bool:
        """Whether elements can be compared one by one."""
        return self.mine.shape == self.theirs.shape

    @cached_property
    def a(self) -> Array:
        """float32 of the tensor here; a scalar as one row."""
        return np.atleast_1d(self.here.float32(self.mine.name))

    @cached_property
    def b(self) -> Array:
        """float32 of the tensor there; a scalar as one row."""
        return np.atleast_1d(self.there.float32(self.theirs.name))

    @property
    def head_dims(self) -> set[tuple[int, int]]:
        """(heads, channels of one head) that either configuration knows for Q and K."""
        models = [c.model for c in (self.here, self.there) if c.model]
        return {(n, m.head_dim) for m in models for n in (m.num_heads, m.num_kv_heads)}

    def same_values(self, tolerance: float) -> bool:
        """Whether the two can be the same values in another order: order changes no sum of squares. Free."""
        s = self.sums
        return s is None or abs(s.aa - s.bb) <= tolerance * max(s.aa, s.bb)

    def agree(self, here: Array, there: Array, change: Change | None = None, order: Array | None = None) -> bool:
        """Whether two arrays of one shape are equal up to rounding, `there` with its rows in `order` and `change`d.
        Piece by piece, so that no third copy is made; stops at the first piece that is not."""
        difference = whole = 0.0
        for piece in _pieces(here):
            x = np.ascontiguousarray(here[piece])
            y = np.ascontiguousarray(there[piece if order is None else order[piece]])
            y = change(y) if change else y
            if self.rounding.norm is None:
                if self.rounding.outside(x, y).any():
                    return False
                continue
            wide = y.astype(np.float64)
            difference += float(np.square(x - wide).sum())
            whole += float(np.square(wide).sum())
            if not difference <= (2 * self.rounding.norm) ** 2 * whole:
                return False
        return self.rounding.norm is None or difference <= self.rounding.norm**2 * whole


def relation(pair: Pair) -> Relation | None:
    """The first rule that holds, or None. Cost: at worst about ten passes over both tensors in memory (30 ns an
    element); most rules end at their first piece."""
    for rule in RULES:
        found = rule(pair)
        if found:
            return found
    return None


def _shifted(pair: Pair) -> Relation | None:
    s = pair.sums
    if s is None or s.count < FEW or pair.rounding.norm is not None:
        return None
    by = (s.a - s.b) / s.count
    nearest = float(round(by))
    near = 4 * pair.rounding.relative * max(1.0, abs(by), math.sqrt(s.bb / s.count))
    by = nearest if nearest and abs(by - nearest) <= near else by
    scatter = s.aa + s.bb - 2 * s.ab - 2 * by * (s.a - s.b) + s.count * by * by
    if not math.isfinite(by) or by == 0 or scatter > (4 * pair.rounding.relative) ** 2 * (s.aa + s.bb):
        return None
    shift = np.float32(by)
    if not pair.agree(pair.a, pair.b, lambda y: y + shift):
        return None
    return Relation("shifted", f"{by:+.6g} on every element here", by)


def _scaled(pair: Pair) -> Relation | None:
    s = pair.sums
    if s is None or s.count < FEW or s.bb <= 0 or s.aa <= 0:
        return None
    limit = pair.rounding.norm or 4 * pair.rounding.relative
    if s.ab * s.ab < (1 - limit * limit) * s.aa * s.bb:
        return None
    factor = s.ab / s.bb
    nearest = float(round(factor))
    factor = nearest if nearest and abs(factor / nearest - 1) <= pair.rounding.relative else factor
    times = np.float32(factor)
    if not math.isfinite(factor) or not pair.agree(pair.a, pair.b, lambda y: y * times):
        return None
    return Relation("scaled", f"{factor:.6g} times the other one", factor)


def _retagged(pair: Pair) -> Relation | None:
    """The same bytes under another tag of the same width: bf16 read as f16."""
    mine, theirs = DTYPES[pair.mine.dtype], DTYPES[pair.theirs.dtype]
    if mine is theirs or not (mine.plain and theirs.plain) or mine.block_bytes != theirs.block_bytes:
        return None
    scaled = pair.mine.scale is not None or pair.theirs.scale is not None
    if scaled or pair.mine.transform != pair.theirs.transform or not _raw_equal(pair):
        return None
    return Relation("reinterpreted", f"the same bytes, tagged {mine.name} here and {theirs.name} there")


def _byte_swapped(pair: Pair) -> Relation | None:
    kind = DTYPES[pair.mine.dtype]
    if pair.mine.dtype != pair.theirs.dtype or pair.mine.transform != pair.theirs.transform or not kind.plain:
        return None
    if kind.block_bytes == 1 or not _raw_equal(pair, f"u{kind.block_bytes}"):
        return None
    return Relation("reinterpreted", "the same bytes in the other byte order")


def _raw_equal(pair: Pair, swapped: str | None = None) -> bool:
    return same_bytes(pair.here, pair.mine.name, pair.there, pair.theirs.name, swapped)


def _rotary(pair: Pair) -> Relation | None:
    """Rows of Q and K heads in the other order of pairs: of every head, of the Q heads of a fused matrix, or of its K
    heads."""
    if not pair.same_shape or not pair.mine.shape or not pair.same_values(_slack(pair)):
        return None
    for words, starts, rotated in _turned(pair):
        order = np.arange(pair.mine.shape[0])
        halves = np.arange(rotated).reshape(-1, 2).T.ravel()
        if rotated <= 2 or max(starts) + rotated > len(order):
            continue
        for start in starts:
            order[start : start + rotated] = start + halves
        for mine, theirs, way in (
            ("split halves", "adjacent rows", order),
            ("adjacent rows", "split halves", np.argsort(order)),
        ):
            if pair.agree(pair.a, pair.b, order=way):
                return Relation("permuted", f"{ROTARY_PAIRS} ({words}): {mine} here, {theirs} there")
    return None


def _turned(pair: Pair) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """(words, first rows of heads, rows turned in each) that a tensor may have."""
    rows = pair.mine.shape[0]
    for heads, channels in sorted(pair.head_dims):
        if rows == heads * channels and channels % 2 == 0:
            yield f"{heads} heads of {channels}", tuple(range(0, rows, channels)), channels
    family = pair.here.family
    role = family.role_of(pair.mine.name) if family and pair.here.model else None
    q, k = head_starts(pair.here).get(role[0], ((), ())) if role else ((), ())
    turned = rotated_rows(pair.here) if q or k else 0
    for words, starts in (("Q and K", (*q, *k)), ("Q", q), ("K", k)):
        if starts:
            yield f"{turned} rows of each head of {words}", starts, turned


def _transposed(pair: Pair) -> Relation | None:
    if len(pair.mine.shape) != 2 or pair.mine.shape != pair.theirs.shape[::-1]:
        return None
    if pair.agree(pair.a, pair.b.T):
        square = BufferOrder.COLUMN_MAJOR if pair.same_shape else None
        return Relation("transposed", "rows here are columns there", order=square)
    if not pair.same_shape and pair.agree(pair.a, pair.b.reshape(pair.mine.shape)):
        return Relation("reinterpreted", "the same buffer under exchanged dimensions: it was not transposed with them")
    return None


def _other_order(pair: Pair) -> Relation | None:
    """The same buffer taken for column-major, in either direction. Compared column by column: no copy is made."""
    if not pair.same_shape or len(pair.mine.shape) != 2 or not pair.same_values(_slack(pair)):
        return None
    if pair.agree(reread(pair.a, BufferOrder.COLUMN_MAJOR).T, pair.b.T):
        detail = "the buffer here is column-major, and is read as row-major"
        return Relation("reinterpreted", detail, order=BufferOrder.COLUMN_MAJOR)
    if pair.agree(pair.a.T, reread(pair.b, BufferOrder.COLUMN_MAJOR).T):
        detail = "the buffer there is column-major, and is read as row-major"
        return Relation("reinterpreted", detail, order=BufferOrder.UNDO_COLUMN_MAJOR)
    return None


def _permuted(pair: Pair) -> Relation | None:
    """Rows or columns in another order, found by sorting a digest of each."""
    if not pair.same_shape or not pair.mine.shape or max(pair.mine.shape) < FEW:
        return None
    dtypes = (pair.mine.dtype, pair.theirs.dtype)
    if not pair.same_values(SUMMED if dtypes[0] == dtypes[1] else _slack(pair)):
        return None
    if coarsened(np.zeros(1, np.float32), *dtypes) is None:
        return None
    last = pair.mine.shape[-1] if len(pair.mine.shape) > 1 else 1
    a, b = pair.a.reshape(-1, last), pair.b.reshape(-1, last)
    found = [digests(values, dtypes) for values in (a, b)]
    for axis, word in ((0, "row"), (1, "column")):
        order = _order(found[0][axis], found[1][axis])
        if order is None:
            continue
        if axis == 0:
            holds = pair.agree(a, b, order=order)
        else:
            columns = order
            holds = pair.agree(a, b, lambda y, columns=columns: y[:, columns])  # type: ignore[misc]
        if holds:
            return Relation("permuted", _in_words(order, word, {channels for _, channels in pair.head_dims}))
    return None


RULES: tuple[Callable[[Pair], Relation | None], ...] = (
    lambda pair: _shifted(pair) or _scaled(pair) if pair.same_shape else None,
    _retagged,
    _byte_swapped,
    _rotary,
    _transposed,
    _other_order,
    _permuted,
)


def _slack(pair: Pair) -> float:
    """How far rounding moves a sum of squares, at most."""
    return SUMMED + 4 * (pair.rounding.norm or pair.rounding.relative) + (1.0 if pair.rounding.absolute else 0.0)


def _pieces(values: Array) -> Iterator[slice]:
    step = max(1, PIECE * len(values) // max(1, values.size))
    return (slice(first, first + step) for first in range(0, len(values), step))


def digests(values: Array, dtypes: tuple[str, str]) -> tuple[Array, Array]:
    """64-bit digests (uint64 [rows], uint64 [columns]): sums of odd random multiples of the bits, modulo 2⁶⁴. Equal
    lines have equal digests; others hardly ever do, and every element is compared afterwards."""
    rows, width = values.shape
    rng = np.random.default_rng(0)
    across = rng.integers(0, 1 << 63, width, dtype=np.uint64) | np.uint64(1)
    by_row, by_column = np.zeros(rows, np.uint64), np.zeros(width, np.uint64)
    for piece in _pieces(values):
        bits = coarsened(values[piece], *dtypes)
        assert bits is not None
        wide = bits.astype(np.uint64)
        by_row[piece] = (wide * across).sum(axis=1, dtype=np.uint64)
        down = rng.integers(0, 1 << 63, len(wide), dtype=np.uint64) | np.uint64(1)
        by_column += (wide * down[:, None]).sum(axis=0, dtype=np.uint64)
    return by_row, by_column


def _order(here: Array, there: Array) -> Array | None:
    """int [n] with here == there[order], or None when the two are not the same digests."""
    mine, theirs = np.argsort(here, kind="stable"), np.argsort(there, kind="stable")
    if not np.array_equal(here[mine], there[theirs]):
        return None
    order = np.empty_like(mine)
    order[mine] = theirs
    return order


def _in_words(order: Array, word: str, channels: set[int]) -> str:
    moved = int((order != np.arange(len(order))).sum())
    for size in sorted(channels, reverse=True):
        if size < 2 or len(order) % size:
            continue
        blocks = order.reshape(-1, size)
        if (blocks == blocks[:, :1] + np.arange(size)).all() and not (blocks[:, 0] % size).any():
            heads = int((blocks[:, 0] // size != np.arange(len(blocks))).sum())
            return f"{heads:,} of {len(blocks):,} heads ({size} {word}s each) stand in another order"
    return f"{moved:,} of {len(order):,} {word}s stand in another order"
