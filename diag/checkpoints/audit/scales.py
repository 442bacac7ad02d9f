"""Rules about scales of 8-bit weights: one that is missing, that does not fit, or that was never applied."""

from __future__ import annotations

from collections.abc import Iterator

from diag.checkpoints.audit.facts import CheckpointFacts, TensorFacts
from diag.checkpoints.audit.rule import NOTHING, AuditFinding, AuditRule, Check
from diag.checkpoints.dtypes import EIGHT_BIT_FLOATS
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.scales import block_of, names_of, stated_block, weight_of
from diag.results.thresholds_checkpoints import CODES_REACH, TIE_ROUNDING

SCALE_MISSING = AuditRule(
    "scale_missing",
    "error",
    "{tensor} lacks its scale: its values, stored as {dtype}, reach {largest:g}, where an 8-bit type ends, and {why}. "
    "They are read as if the scale were 1.",
    "Look for the scales that were left out (weight_scale_inv, weight_scale), and save them with the weights.",
    "an 8-bit matrix that fills half of its type's range, or another one that ends where an 8-bit type does, and no "
    "scale in the file that fits it",
    "a q_proj stored as F8_E4M3, its largest value 448, without a scale",
)
SCALE_IGNORED = AuditRule(
    "scale_ignored",
    "error",
    "{tensor} holds the numbers of an 8-bit type, up to {largest:g}, tagged {dtype}: its scale, {scale}, is in the "
    "file and was never applied.",
    "Multiply the weight by its scale, or store it in the 8-bit type that it came from.",
    "a matrix of another type with values of that range, and a scale for it in the file",
    "a bfloat16 gate_proj whose largest value is 448, and its weight_scale_inv",
)
SCALE_UNUSED = AuditRule(
    "scale_unused",
    "info",
    "{tensor} is the scale of {weight}, which is stored as {dtype} and does not look as if it needed one: it is not "
    "used.",
    NOTHING,
    "a scale of a matrix that is no 8-bit one and has values as weights have",
    "a sound gate_proj and a weight_scale_inv",
)


def check_scales(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Cost: nothing beyond the statistics."""
    for tensor in facts.tensors:
        if tensor.kind == "matrix" and tensor.info.scale is None:
            yield from _of_weight(facts.checkpoint, tensor)


def unscaled(checkpoint: Checkpoint, name: str, largest: float | None) -> bool:
    """Whether a tensor, whose largest magnitude is given, holds numbers that still want their scale."""
    info = checkpoint.tensors[name]
    if info.scale is not None or largest is None:
        return False
    top = EIGHT_BIT_FLOATS.get(info.dtype)
    if top is not None:
        return largest >= CODES_REACH.value * top or scale_in(checkpoint, name) is not None
    if scale_in(checkpoint, name) is not None:
        return largest >= CODES_REACH.value * min(EIGHT_BIT_FLOATS.values())
    return any(abs(largest / top - 1) <= TIE_ROUNDING.value for top in EIGHT_BIT_FLOATS.values())


def scale_in(checkpoint: Checkpoint, name: str) -> str | None:
    """The scale of this tensor that the file holds as a tensor of its own, used by nothing."""
    return next((scale for scale in names_of(name) if scale in checkpoint.tensors), None)


def block_in(checkpoint: Checkpoint, name: str) -> tuple[int, int] | None:
    """(rows, columns) that share an element of `scale_in`; None where there is none that fits."""
    scale, info = scale_in(checkpoint, name), checkpoint.tensors[name]
    if scale is None or info.transform is not None:
        return None
    return block_of(info.shape, checkpoint.tensors[scale].shape, stated_block(checkpoint.raw_config))


def is_scale(checkpoint: Checkpoint, name: str) -> bool:
    """Whether `name` is the scale of a tensor of the file."""
    return weight_of(name) in checkpoint.tensors


def _of_weight(checkpoint: Checkpoint, tensor: TensorFacts) -> Iterator[AuditFinding]:
    info, stats, scale = tensor.info, tensor.stats, scale_in(checkpoint, tensor.name)
    largest = None if stats.min is None or stats.max is None else max(abs(stats.min), abs(stats.max))
    if not unscaled(checkpoint, tensor.name, largest):
        if scale:
            yield SCALE_UNUSED.finding(scale, weight=tensor.name, dtype=info.dtype)
    elif info.dtype in EIGHT_BIT_FLOATS or not scale:
        why = "the file holds none"
        if scale:
            why = f"{scale} does not fit it: {list(checkpoint.tensors[scale].shape)} for {list(info.shape)}"
        yield SCALE_MISSING.finding(tensor.name, dtype=info.dtype, largest=largest, why=why)
    else:
        yield SCALE_IGNORED.finding(tensor.name, dtype=info.dtype, largest=largest, scale=scale)


CHECK = Check((SCALE_MISSING, SCALE_IGNORED, SCALE_UNUSED), check_scales)
