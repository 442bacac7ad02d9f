"""Does the dtype in the header fit the bytes? Each type is judged by how far magnitudes spread when read as it.

The logarithm to base 2 of a Gaussian's magnitude has a standard deviation of 1.6, whatever its scale; trained weights
have 1 to 2.5. Read bfloat16 as float16 and each octave becomes an eighth of one (0.2); the reverse, and it becomes
eight (13); half of a float32, or swapped bytes, are noise in the exponent (8 to 70).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from diag.checkpoints.audit.facts import CheckpointFacts
from diag.checkpoints.audit.rule import AuditFinding, AuditRule, Check
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.reader import Checkpoint
from diag.results.thresholds_checkpoints import (
    FEW_NONFINITE,
    LARGEST_WEIGHT,
    OCTAVES_CLEAR,
    OCTAVES_HIGH,
    OCTAVES_LOW,
    TAG_VALUES,
)

SAMPLE_BYTES, STRETCHES = 8192, 8


def _bf16(raw: Array) -> Array:
    return DTYPES["BF16"].floats(raw, (raw.size // 2,))


# How bytes may be read: the words of the finding → float32 of uint8.
READ_AS: dict[str, Callable[[Array], Array]] = {
    "F32": lambda raw: raw.view("<f4"),
    "BF16": _bf16,
    "F16": lambda raw: raw.view("<f2").astype("<f4"),
    "big-endian F32": lambda raw: raw.view(">f4").astype("<f4"),
    "big-endian BF16": lambda raw: _bf16(raw.view("<u2").byteswap().view(np.uint8)),
    "big-endian F16": lambda raw: raw.view(">f2").astype("<f4"),
}

DTYPE_TAG = AuditRule(
    "dtype_tag",
    "error",
    "{tensor} is tagged {tag}, but its bytes make sense only as {fitting}: as {tag} its magnitudes {how}, as "
    "{fitting} they spread over {octaves:.1f} (trained weights: about 1.6).",
    "Correct the dtype in the header, or convert the file again.",
    "magnitudes that spread over under 0.5 or over 6 octaves as tagged, and over about 1.6 read as exactly one other "
    "type or byte order",
    "a bfloat16 gate_proj tagged F16",
)


def check_tags(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Matrices whose bytes make sense as exactly one type, and not as the tagged one. Cost: 8 KB a matrix."""
    for tensor in facts.tensors:
        if tensor.kind != "matrix" or tensor.info.dtype not in ("F32", "BF16", "F16"):
            continue
        if 0 < tensor.stats.nonfinite < FEW_NONFINITE.value * tensor.info.elements:
            continue  # single values went wrong, not the tag
        raw = sampled_bytes(facts.checkpoint, tensor.name)
        tagged = spread(raw, tensor.info.dtype)
        if tagged is None or _is_plausible(tagged, OCTAVES_CLEAR.value):
            continue
        spreads = {name: spread(raw, name) for name in READ_AS}
        fitting = {name: octaves for name, octaves in spreads.items() if octaves and _is_plausible(octaves)}
        if len(fitting) == 1:
            name, octaves = fitting.popitem()
            how = f"spread over {tagged:.1f} octaves" if np.isfinite(tagged) else "are huge or not finite"
            yield DTYPE_TAG.finding(tensor.name, tag=tensor.info.dtype, fitting=name, how=how, octaves=octaves)


def sampled_bytes(checkpoint: Checkpoint, name: str) -> Array:
    """uint8 [at most SAMPLE_BYTES]: a few stretches of the stored bytes, evenly spaced, each a multiple of 4 long."""
    size = checkpoint.info(name).nbytes
    if size <= SAMPLE_BYTES:
        return checkpoint.raw(name, 0, size // 4 * 4)
    length = SAMPLE_BYTES // STRETCHES
    starts = (np.linspace(0, size - length, STRETCHES).astype(int) // 4) * 4
    return np.concatenate([checkpoint.raw(name, int(start), int(start) + length) for start in starts])


def spread(raw: Array, read_as: str) -> float | None:
    """Standard deviation of log2 |x|, in octaves, of what `raw` holds as a type of READ_AS; None with too few values.
    Infinite where values are not finite or beyond LARGEST_WEIGHT, which no weight is."""
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.abs(READ_AS[read_as](raw).astype(np.float64))
    if not np.isfinite(values).all() or values.max(initial=0.0) > LARGEST_WEIGHT.value:
        return float("inf")
    values = values[values > 0]
    if len(values) < TAG_VALUES.value:
        return None
    octaves = float(np.log2(values).std())
    if read_as.endswith("F32"):
        # Two bfloat16 in a row read as a float32 have the upper one's size: the lower one must be no weight.
        lower = raw.view("<u2" if read_as == "F32" else ">u2").reshape(-1, 2)[:, 0 if read_as == "F32" else 1]
        other = spread(np.ascontiguousarray(lower.astype("<u2")).view(np.uint8), "BF16")
        if other is not None and _is_plausible(other):
            return float("inf")
    return octaves


def _is_plausible(octaves: float, margin: float = 1.0) -> bool:
    return OCTAVES_LOW.value / margin <= octaves <= OCTAVES_HIGH.value * margin


CHECK = Check((DTYPE_TAG,), check_tags)
