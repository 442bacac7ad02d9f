"""Does the dtype in the header fit the bytes? Each type is judged by how far magnitudes spread when read as it.

The logarithm to base 2 of a Gaussian's magnitude has a standard deviation of 1.6, whatever its scale; trained weights
have 1 to 2.5. Read bfloat16 as float16 and each octave becomes an eighth of one (0.2); the reverse, and it becomes
eight (13); half of a float32, or swapped bytes, are noise in the exponent (8 to 70).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.audit.facts import CheckpointFacts
from diag.checkpoints.audit.rule import AuditFinding, AuditRule, Check
from diag.checkpoints.dtypes import READ_AS, Array
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
TAGGED = ("F32", "BF16", "F16")

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


@dataclass(frozen=True)
class WrongTag:
    """A tag that the bytes deny. tagged, octaves: how far magnitudes spread under it, and read as `fitting`."""

    tag: str
    fitting: str
    tagged: float
    octaves: float


def check_tags(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Matrices whose bytes make sense as exactly one type, and not as the tagged one. Cost: 8 KB a matrix."""
    for tensor in facts.tensors:
        found = wrong_tag(facts.checkpoint, tensor.name, tensor.stats.nonfinite) if tensor.kind == "matrix" else None
        if found:
            far = np.isfinite(found.tagged)
            how = f"spread over {found.tagged:.1f} octaves" if far else "are huge or not finite"
            said = {"tag": found.tag, "fitting": found.fitting, "how": how, "octaves": found.octaves}
            yield DTYPE_TAG.finding(tensor.name, **said)


def wrong_tag(checkpoint: Checkpoint, name: str, nonfinite: int) -> WrongTag | None:
    """How the bytes of a matrix must be read, where its tag is plainly wrong and exactly one other reading fits. Cost:
    8 KB."""
    info = checkpoint.info(name)
    if info.dtype not in TAGGED or 0 < nonfinite < FEW_NONFINITE.value * info.elements:
        return None  # single values went wrong, not the tag
    raw = sampled_bytes(checkpoint, name)
    tagged = spread(raw, info.dtype)
    if tagged is None or _is_plausible(tagged, OCTAVES_CLEAR.value):
        return None
    spreads = {way: spread(raw, way) for way in READ_AS}
    fitting = {way: octaves for way, octaves in spreads.items() if octaves and _is_plausible(octaves)}
    if len(fitting) != 1:
        return None
    way, octaves = fitting.popitem()
    return WrongTag(info.dtype, way, tagged, octaves)


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
