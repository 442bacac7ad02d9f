"""Do a matrix's values stand on a grid, as a quantised copy leaves them once it is written as floats again?

Block quantisers give each run of 16 to 128 values along a row a few levels: 2ᵇ evenly spaced ones (Q4_0, Q6_K, GPTQ,
AWQ), or 2ᵇ of a table (NF4, IQ4_NL). Written as bfloat16 or float32 the stored type no longer says so; the values do.
Measured: docs/signatures.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.ggml import rounded
from diag.checkpoints.passes.rounding import SIGNIFICANT_BITS
from diag.results.thresholds_checkpoints import GRID_BLOCKS, GRID_RESIDUAL, GRID_SHARE

EVEN_BLOCKS, TABLE_BLOCK = (16, 32), 32  # values in a row that share a step, or a table of levels
MOST_LEVELS = 256
_SAMPLED = 2048  # blocks looked at
_WRITERS = {4: ("Q4_0", "Q4_1"), 5: ("Q5_0", "Q5_1"), 8: ("Q8_0",)}  # of the `gguf` package, by bits
_PROVEN_ROWS = 64


def grid_bits(matrix: Array, dtype: str) -> int | None:
    """Bits a value, 1 to 8, of the grid that nearly all blocks of a matrix stand on, along its rows or its columns;
    None where there is none. dtype: the stored type, whose own rounding hides a grid that is finer. Cost: a sample of
    2,048 blocks twice, some ms."""
    if matrix.ndim != 2 or dtype not in SIGNIFICANT_BITS:
        return None
    for values in (matrix, matrix.T):
        blocks = {size: _blocks(values, size) for size in EVEN_BLOCKS}
        levels = [_distinct(blocks[TABLE_BLOCK])]
        levels += [_steps(each, 2.0 ** -SIGNIFICANT_BITS[dtype]) for each in blocks.values()]
        known = [found for found in levels if found is not None]
        if known:
            return max(1, math.ceil(math.log2(min(known))))
    return None


def _blocks(values: Array, size: int) -> Array:
    """float32 [blocks, size]: runs along the rows, evenly sampled, sorted, without those of one value."""
    rows, width = values.shape
    across = width // size
    at = np.unique(np.linspace(0, max(0, rows * across - 1), min(_SAMPLED, rows * across)).astype(np.int64))
    found = [values[i // across, (start := i % across * size) : start + size] for i in at] if across else []
    blocks = np.sort(np.stack(found), axis=1) if found else np.empty((0, size), np.float32)
    return np.asarray(blocks[np.isfinite(blocks).all(axis=1) & (blocks[:, 0] < blocks[:, -1])])


def _distinct(blocks: Array) -> int | None:
    """Levels of a table of at most half as many as a block has values."""
    counts = 1 + (np.diff(blocks, axis=1) > 0).sum(axis=1)
    return _usual(counts, blocks.shape[1] // 2)


def _steps(blocks: Array, rounding: float) -> int | None:
    """Evenly spaced levels: every value a whole number of steps above the smallest. rounding: of each value, by the
    stored type."""
    above = blocks.astype(np.float64) - blocks[:, :1]
    noise = 2 * rounding * np.abs(blocks).max(axis=1, keepdims=True)
    gaps = np.diff(above, axis=1)
    step = np.where(gaps > noise, gaps, np.inf).min(axis=1, keepdims=True)
    told = np.isfinite(step[:, 0])
    above, gaps, step, noise = above[told], gaps[told], step[told], noise[told]
    for lengths in (gaps, above):  # the smallest gap is a rounded one: fitted to all gaps, then to the whole run
        whole = np.rint(lengths / step)
        step = (whole * lengths).sum(axis=1, keepdims=True) / np.square(whole).sum(axis=1, keepdims=True).clip(min=1)
    off = np.abs(above / step - np.rint(above / step)).max(axis=1)
    levels = np.rint(above[:, -1] / step[:, 0]) + 1
    even = (off < GRID_RESIDUAL.value) & (noise[:, 0] < GRID_RESIDUAL.value * step[:, 0])
    return _usual(np.where(even, levels, np.inf), MOST_LEVELS)


def _usual(levels: Array, most: int) -> int | None:
    """What nearly all blocks keep within, where that is at most `most`."""
    if len(levels) < GRID_BLOCKS.value:
        return None
    found = float(np.quantile(levels, GRID_SHARE.value, method="higher"))
    return int(found) if found <= most else None


def written_as(matrix: Array, source: Array, bits: int, same: Callable[[Array, Array], bool]) -> str | None:
    """The block type that turns `source` into `matrix`, told from the first rows; None where none does, or the package
    that writes them is not installed. same: whether two arrays are equal up to the stored type."""
    if find_spec("gguf") is None:
        return None
    mine, theirs = matrix[:_PROVEN_ROWS], source[:_PROVEN_ROWS]
    for name in _WRITERS.get(bits, ()):
        found = rounded(theirs, name)
        if found is not None and same(found, mine):
            return name
    return None


def on_grid(values: Array, loss: float) -> Array:
    """float32 of the same shape, each run of TABLE_BLOCK values in a row rounded to even steps, so wide that the
    difference has `loss` of the norm: rounding to a step errs by 1/√12 of it. As it is where the rows are no whole
    number of runs."""
    if values.shape[-1] % TABLE_BLOCK:
        return values
    runs = values.reshape(-1, TABLE_BLOCK)
    low = runs.min(axis=1, keepdims=True)
    spans = runs.max(axis=1, keepdims=True) - low
    power = float(np.square(spans, dtype=np.float64).sum()) * TABLE_BLOCK
    share = loss * math.sqrt(12 * float(np.square(values, dtype=np.float64).sum()) / power) if power else 0.0
    step = spans * np.float32(share)
    whole = np.divide(runs - low, step, out=np.zeros_like(runs), where=step > 0)
    found: Array = (np.rint(whole) * step + low).reshape(values.shape)
    return found
