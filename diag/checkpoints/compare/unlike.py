"""What a tensor holds that no rule turns into the reference's: nothing, one value, another tensor, or another training.

These patterns need the other checkpoint as a whole, or hold only roughly; `relations.py` has those that every element
proves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.buffer_order import BufferOrder, other_orders, reread
from diag.checkpoints.compare.differences import Verdict
from diag.checkpoints.compare.relations import WHOLE_HEADS, Pair
from diag.checkpoints.compare.rows import RowIndex, words
from diag.checkpoints.dtypes import DTYPES, READ_AS, Array
from diag.checkpoints.scales import BLOCK
from diag.results.thresholds_checkpoints import (
    ALIEN_COSINE,
    ALIKE_COSINE,
    GATHERED_ROWS,
    LINE_RESIDUAL,
    NEAR_COSINE,
    NEAR_LEAD,
    NEARLY_ALL,
    ODD_FACTOR,
    PARTLY_ROWS,
    TRAINED_COSINE,
)
from diag.units import percent

_SAMPLED = 1 << 22  # elements that a rough comparison looks at
_ROWS, _MATCHED = 1 << 13, 256  # rows compared one by one, and rows looked for elsewhere
_FEW_ROWS = 16  # with fewer their mean is mostly themselves


@dataclass(frozen=True)
class Unlike:
    """A verdict and one clause for people; the other fields as in TensorDifference."""

    verdict: Verdict
    detail: str = ""
    number: float | None = None
    order: BufferOrder | None = None
    source: str | None = None
    approximate: bool = False
    bits: int | None = None
    block_type: str | None = None


def unlike(pair: Pair, index: RowIndex) -> Unlike:
    """What is to be said of two tensors of one shape that differ. Cost: a few passes over both, in memory."""
    a, b = pair.a, pair.b
    if retagged := _retagged(pair):  # first: under another tag some values may not be finite
        return retagged
    lost = int(np.count_nonzero(~np.isfinite(a)))
    if lost and np.isfinite(b).all():
        return Unlike("not_finite", f"{lost:,} of {a.size:,} values here are not finite")
    if not a.any():
        return Unlike("zero", "zero everywhere here")
    if not b.any():
        return Unlike("different", "zero everywhere there")
    if a.size > 1 and a.min() == a.max() and b.min() != b.max():
        return Unlike("constant", f"{float(a.flat[0]):g} everywhere here")
    if found := index.find(pair.mine.name, a, pair.mine.dtype):
        verdict: Verdict = "copied" if found.whole else "gathered"
        return Unlike(verdict, words(found), source=found.sources[0] if found.whole else None)
    return by_rows(a.reshape(len(a), -1), b.reshape(len(b), -1))


def _retagged(pair: Pair) -> Unlike | None:
    """The bytes of a tensor that was trained further, under another tag: as the type there, or in the other byte order,
    they nearly are the tensor there, and as they stand they are farther from it than zeros are."""
    mine, theirs = pair.mine.dtype, pair.theirs.dtype
    tag = theirs if mine != theirs else f"big-endian {mine}"
    plain = tag in READ_AS and DTYPES[mine].plain and DTYPES[mine].block_bytes == DTYPES[theirs].block_bytes
    stands = _apart(pair.a, pair.b)
    if not plain or stands < 1.0:
        return None
    read = np.atleast_1d(pair.here.float32(pair.mine.name, tag))
    if not _apart(read, pair.b) < NEAR_LEAD.value * stands or _cosine(read, pair.b) < NEAR_COSINE.value:
        return None
    trained = not np.array_equal(read, pair.b)
    return Unlike("reinterpreted", f"tagged {mine} here; read as {tag}, its bytes fit those there", approximate=trained)


def _apart(x: Array, y: Array) -> float:
    """‖x − y‖ / ‖y‖ on every so many rows of a large one, infinite where x is not finite."""
    step = max(1, x.size // _SAMPLED)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        wide = y[::step].astype(np.float64)
        apart = float(np.linalg.norm(x[::step] - wide) / np.linalg.norm(wide))
    return apart if math.isfinite(apart) else math.inf


def by_rows(a: Array, b: Array) -> Unlike:
    """Rows that differ, and how: a truncated file leaves zeros, training moves everything a little."""
    differs = (a != b).any(axis=1)
    share = float(differs.mean())
    x, y = a[differs], b[differs]
    factor, matrix = _ratio(x, y), a.shape[1] > 1
    where = f"{int(differs.sum()):,} of {len(a):,} rows differ (the first is row {int(differs.argmax()):,})"
    empty = int((~x.any(axis=1)).sum())
    if matrix and share <= 1 - PARTLY_ROWS.value and empty > len(x) / 2:
        return Unlike("partly", f"{where}, {empty:,} of them zero here")
    if matrix and (gone := _emptied(a, b)):  # before "scaled", which a factor of 0 is too
        return Unlike("partly", gone)
    if line := _scaled_lines(a, b):
        return Unlike("scaled", line)
    angle = _cosine(x, y)
    scale = f"cosine {angle:.3f}, {factor:.3g} times the scale there"
    if not matrix:
        return Unlike("different", scale)
    alien = _alien_rows(x, y)
    if share * alien <= 1 - PARTLY_ROWS.value and alien >= PARTLY_ROWS.value:
        return Unlike("partly", f"{where}, about {percent(alien, 0)} of them unlike those there", approximate=True)
    if angle < -ALIKE_COSINE.value:
        return Unlike("scaled", f"about {-factor:.3g} times the other one", -factor, approximate=True)
    if angle < TRAINED_COSINE.value or alien > 1 - PARTLY_ROWS.value:
        return Unlike("different", scale)
    if not 1 / ODD_FACTOR.value < factor < ODD_FACTOR.value:
        return Unlike("scaled", f"about {factor:.3g} times the other one", approximate=True)
    return Unlike("trained", scale)


def _emptied(a: Array, b: Array) -> str | None:
    """Rows or columns that are zero here and not there: they were never written, whatever training did to the rest."""
    for axis, lines in ((1, "rows"), (0, "columns")):
        gone = ~a.any(axis=axis) & b.any(axis=axis)
        if gone.mean() >= PARTLY_ROWS.value:
            return f"{int(gone.sum()):,} of {gone.size:,} {lines} are zero here (the first is {int(gone.argmax()):,})"
    return None


def _alien_rows(x: Array, y: Array) -> float:
    """The share of rows that have nothing of their counterparts, while others plainly do; 1 where none has, 0 where all
    lie between, as after a long training. Row by row, without what all rows have in common."""
    step = max(1, len(x) // _ROWS)
    u, v = (_centred(each[::step]) for each in (x, y))
    norms = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    angles = np.divide((u * v).sum(axis=1), norms, where=norms > 0, out=np.zeros(len(u), u.dtype))
    angles[~x[::step].any(axis=1) & y[::step].any(axis=1)] = -1.0  # rows that are not there have nothing in common
    apart, alike = float((angles < ALIEN_COSINE.value).mean()), float((angles > ALIKE_COSINE.value).mean())
    if apart > NEARLY_ALL.value:
        return 1.0
    return apart if alike > PARTLY_ROWS.value and apart + alike > NEARLY_ALL.value else 0.0


def _scaled_lines(a: Array, b: Array) -> str | None:
    """Every row, or every column, times a factor of its own: a scale that was folded in, or left out. None where that
    leaves more than rounding does."""
    if min(a.shape) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    for axis, word in ((0, "column"), (1, "row")):
        power = np.square(b, dtype=np.float64).sum(axis)
        factors = np.divide((a * b).sum(axis, dtype=np.float64), power, where=power > 0, out=np.ones_like(power))
        left = a - b * np.expand_dims(factors, axis).astype(np.float32)
        if float(np.square(left).sum()) <= LINE_RESIDUAL.value**2 * float(np.square(a, dtype=np.float64).sum()):
            spread = np.abs(factors)
            if spread.max() > ODD_FACTOR.value * max(spread.min(), 1e-30):
                return f"each {word} times a factor of its own, {spread.min():.3g} to {spread.max():.3g}"
            if not 1 / ODD_FACTOR.value < float(np.median(spread)) < ODD_FACTOR.value:
                return f"about {float(np.median(factors)):.3g} times the other one"
    return _scaled_blocks(a, b)


def _scaled_blocks(a: Array, b: Array) -> str | None:
    """The same of blocks of BLOCK x BLOCK, which a scale of an 8-bit type belongs to."""
    starts = [np.arange(0, n, BLOCK) for n in a.shape]
    if max(len(at) for at in starts) < 2:
        return None

    def summed(values: Array) -> Array:
        found: Array = np.add.reduceat(np.add.reduceat(values, starts[0], axis=0), starts[1], axis=1)
        return found

    power = summed(np.square(b, dtype=np.float64))
    product = summed(np.multiply(a, b, dtype=np.float64))
    factors = np.divide(product, power, where=power > 0, out=np.ones_like(power))
    left = float((summed(np.square(a, dtype=np.float64)) - factors * product).sum())
    spread = np.abs(factors)
    if left > LINE_RESIDUAL.value**2 * float(np.square(a, dtype=np.float64).sum()):
        return None
    if spread.max() <= ODD_FACTOR.value * spread.min() and 1 / ODD_FACTOR.value < np.median(spread) < ODD_FACTOR.value:
        return None
    return f"each block of {BLOCK} x {BLOCK} times a factor of its own, {spread.min():.3g} to {spread.max():.3g}"


def roughly(pair: Pair, others: dict[str, Array]) -> Unlike | None:
    """A named pattern that holds up to training; None where none fits clearly better than the tensor as it stands.
    `others`: tensors of the reference that its rows could come from: of its layer, or of its role."""
    a, b = pair.a, pair.b
    same_shape = {name: values for name, values in others.items() if values.shape == a.shape}
    if a.ndim < 2:
        return _rough_vector(a, b, same_shape)
    stands = _cosine(a, b)
    tried: list[tuple[float, Unlike]] = []
    for order in other_orders(a.shape):
        detail = f"fits the reference when its buffer is read {order.replace('_', ' ')}"
        tried.append((_cosine(reread(a, order), b), Unlike("reinterpreted", detail, order=order, approximate=True)))
    for name, values in same_shape.items():
        copy = Unlike("copied", f"resembles {name} there", source=name, approximate=True)
        tried.append((_cosine(a, values), copy))
    best, found = max(tried, key=lambda one: one[0])
    if best >= NEAR_COSINE.value and best >= stands + NEAR_LEAD.value:
        return found
    own, channels = pair.theirs.name, {channels for _, channels in pair.head_dims}
    by_row = _rows_elsewhere(a, {own: b} | others, own, channels)
    return by_row or _rows_elsewhere(a.T, {own: b.T}, own, channels, "columns")


def _rows_elsewhere(
    a: Array, others: dict[str, Array], own: str, channels: set[int], word: str = "rows"
) -> Unlike | None:
    """Rows that stand elsewhere in the reference: of a sample, nearly all must resemble one, and not the one in their
    place. The first of `others` is the tensor's own counterpart; channels: of a head, by either configuration."""
    pool = {name: values for name, values in others.items() if values.ndim == 2 and values.shape[1] == a.shape[1]}
    if a.shape[1] < 2 or not pool:
        return None
    at = np.linspace(0, len(a) - 1, min(len(a), _MATCHED)).astype(np.int64)
    wanted = _directions(a)[at]
    best, where, whose = np.full(len(at), -1.0), np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
    for number, values in enumerate(pool.values()):
        angles = wanted @ _directions(values).T
        nearest = angles.argmax(axis=1)
        top = angles[np.arange(len(at)), nearest]
        better = top > best
        best[better], where[better], whose[better] = top[better], nearest[better], number
    names = list(pool)
    moved = (whose != names.index(own)) | (where != at) if own in names else np.ones(len(at), bool)
    if (best > ALIKE_COSINE.value).mean() < GATHERED_ROWS.value or moved.mean() < PARTLY_ROWS.value:
        return None
    sources = tuple(names[i] for i in np.unique(whose))
    if sources == (own,):
        heads = any(not ((where - at) % size).any() for size in channels if size > 1)
        which = f"{WHOLE_HEADS}: about" if heads else "about"
        return Unlike(
            "permuted", f"{which} {percent(moved.mean(), 0)} of the {word} stand in another order", approximate=True
        )
    return Unlike("gathered", f"rows of {', '.join(sources[:3])}", approximate=True)


def _directions(values: Array) -> Array:
    """Rows of length 1, without what all rows have in common."""
    centred = _centred(values)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Array = np.divide(centred, norms, where=norms > 0, out=np.zeros_like(centred))
    return unit


def _rough_vector(a: Array, b: Array, others: dict[str, Array]) -> Unlike | None:
    """A norm's weight: another norm's, shifted by a whole number, or scaled; of these what leaves the least."""
    apart = _gap(a, b)
    by = round(float(a.mean() - b.mean()))
    tried = [
        (_gap(a, values), Unlike("copied", f"resembles {name} there", source=name, approximate=True))
        for name, values in others.items()
    ]
    if by:
        detail = f"about {by:+d} on every element here"
        tried.append((_gap(a - by, b), Unlike("shifted", detail, float(by), approximate=True)))
    factor = _ratio(a, b)
    if not 1 / ODD_FACTOR.value < factor < ODD_FACTOR.value:
        detail = f"about {factor:.3g} times the other one"
        tried.append((_gap(a / np.float32(factor), b), Unlike("scaled", detail, factor, approximate=True)))
    left, found = min(tried, key=lambda one: one[0], default=(math.inf, None))
    return found if left < NEAR_LEAD.value * apart else None


def _gap(x: Array, y: Array) -> float:
    return float(np.abs(x - y).mean())


def _centred(rows: Array) -> Array:
    """A matrix without the mean of its rows, where there are enough of them to have one."""
    centred: Array = rows - rows.mean(axis=0) if rows.ndim > 1 and len(rows) >= _FEW_ROWS else rows
    return centred


def _cosine(x: Array, y: Array) -> float:
    """Of two arrays as vectors, on every so many rows of a large one; of matrices without what all rows have in common.
    0 where either is empty or not finite."""
    step = max(1, x.size // _SAMPLED)
    u, v = (np.ascontiguousarray(each[::step]).astype(np.float64) for each in (x, y))
    u, v = (_centred(each).ravel() for each in (u, v))
    norms = math.sqrt(float(u @ u) * float(v @ v))
    angle = float(u @ v) / norms if norms else 0.0
    return angle if math.isfinite(angle) else 0.0


def _ratio(x: Array, y: Array) -> float:
    """The root mean square of x over that of y."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(np.square(x, dtype=np.float64).mean() / np.square(y, dtype=np.float64).mean()))
