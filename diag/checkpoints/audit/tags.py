"""Does the dtype in the header fit the bytes? Each way to read a sample is judged by how far magnitudes spread.

The logarithm to base 2 of a Gaussian's magnitude has a standard deviation of 1.6, whatever its scale; trained weights
have 1 to 2.5. Read bfloat16 as float16 and each octave becomes an eighth of one (0.2); the reverse, and it becomes
eight (13); half of a float32, or swapped bytes, are noise in the exponent (8 to 70).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from diag.checkpoints.audit.codes import AuditFinding, finding
from diag.checkpoints.audit.facts import Fact
from diag.checkpoints.dtypes import Array
from diag.checkpoints.reader import Checkpoint

PLAUSIBLE = (0.7, 4.0)  # octaves
CLEAR = 1.5  # a reading outside is called wrong only beyond this factor: under 0.47 or over 6 octaves
LARGEST = 2.0**10  # trained weights stay below it by far
SAMPLE_BYTES, STRETCHES = 8192, 8
MIN_VALUES = 256


def _bf16(raw: Array) -> Array:
    return (raw.view("<u2").astype("<u4") << 16).view("<f4")


FEW_BROKEN = 0.001  # of the values: bytes swapped in bfloat16 give one NaN in 256, a wrong type more
READINGS: dict[str, Callable[[Array], Array]] = {
    "F32": lambda raw: raw.view("<f4"),
    "BF16": _bf16,
    "F16": lambda raw: raw.view("<f2").astype("<f4"),
    "big-endian F32": lambda raw: raw.view(">f4").astype("<f4"),
    "big-endian BF16": lambda raw: _bf16(raw.view("<u2").byteswap().view(np.uint8)),
    "big-endian F16": lambda raw: raw.view(">f2").astype("<f4"),
}


def dtype_tags(checkpoint: Checkpoint, tensors: Sequence[Fact]) -> Iterator[AuditFinding]:
    """Matrices whose bytes make sense under exactly one reading, and not the tagged one. Cost: 8 KB a matrix."""
    for fact in tensors:
        if fact.kind != "matrix" or fact.info.dtype not in ("F32", "BF16", "F16"):
            continue
        if 0 < fact.stats.nonfinite < FEW_BROKEN * fact.info.elements:
            continue  # single values went wrong, not the tag
        raw = sampled_bytes(checkpoint, fact.name)
        tagged = spread(raw, fact.info.dtype)
        if tagged is None or PLAUSIBLE[0] / CLEAR <= tagged <= PLAUSIBLE[1] * CLEAR:
            continue
        spreads = {reading: spread(raw, reading) for reading in READINGS}
        fitting = {reading: octaves for reading, octaves in spreads.items() if octaves and _plausible(octaves)}
        if len(fitting) == 1:
            reading, fits = fitting.popitem()
            how = f"spread over {tagged:.1f} octaves" if np.isfinite(tagged) else "are huge or not finite"
            yield finding("dtype_tag", fact.name, tag=fact.info.dtype, reading=reading, how=how, fits=fits)


def sampled_bytes(checkpoint: Checkpoint, name: str) -> Array:
    """uint8 [at most SAMPLE_BYTES]: a few stretches of the stored bytes, evenly spaced, each a multiple of 4 long."""
    raw = checkpoint.raw(name)
    if raw.size <= SAMPLE_BYTES:
        return np.array(raw[: raw.size // 4 * 4])
    length = SAMPLE_BYTES // STRETCHES
    starts = (np.linspace(0, raw.size - length, STRETCHES).astype(int) // 4) * 4
    return np.concatenate([raw[start : start + length] for start in starts])


def spread(raw: Array, reading: str) -> float | None:
    """Standard deviation of log2 |x|, in octaves, of what `raw` holds under a reading; None with too few values.
    Infinite for a reading with values that are not finite or beyond LARGEST, which no weight is."""
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.abs(READINGS[reading](raw).astype(np.float64))
    if not np.isfinite(values).all() or values.max(initial=0.0) > LARGEST:
        return float("inf")
    values = values[values > 0]
    if len(values) < MIN_VALUES:
        return None
    octaves = float(np.log2(values).std())
    if reading.endswith("F32"):
        # Two bfloat16 in a row read as a float32 have the upper one's size: the lower one must be no weight.
        lower = raw.view("<u2" if reading == "F32" else ">u2").reshape(-1, 2)[:, 0 if reading == "F32" else 1]
        other = spread(np.ascontiguousarray(lower.astype("<u2")).view(np.uint8), "BF16")
        if other is not None and _plausible(other):
            return float("inf")
    return octaves


def _plausible(octaves: float) -> bool:
    return PLAUSIBLE[0] <= octaves <= PLAUSIBLE[1]
