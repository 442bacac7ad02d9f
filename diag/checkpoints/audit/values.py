"""Rules about values that no trained weight has: not finite, zero, constant, of an impossible size."""

from __future__ import annotations

import math
from collections.abc import Iterator

from diag.checkpoints.audit.facts import CheckpointFacts, TensorFacts
from diag.checkpoints.audit.rule import COPY_AGAIN, IF_TRAINED, NOTHING, AuditFinding, AuditRule, Check
from diag.checkpoints.audit.zero_tails import trailing_zeros
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import Checkpoint
from diag.results.thresholds_checkpoints import (
    CLIPPED_LEAST,
    CLIPPED_PEAK,
    IMPLAUSIBLE_RMS,
    MANY_ZEROS,
    ZERO_ROWS,
    ZERO_TAIL,
)

FLOATS = ("F64", "F32", "F16", "BF16")  # in a few bits, exact zeros are ordinary values

NOT_EXAMINED = AuditRule(
    "not_examined",
    "info",
    "{count:,} of {total:,} tensors, {tensor} the first, have a type that is not read as numbers ({dtypes}): their "
    "values were not examined.",
    "Convert them to bfloat16 to have them audited.",
    "tensors of a type that is listed and not read as numbers (complex numbers, some quantised types)",
    "a q_proj tagged C64",
)
NONFINITE = AuditRule(
    "nonfinite",
    "error",
    "{tensor} holds {count:,} values that are NaN or infinite.",
    "Go back to an earlier checkpoint.",
    "NaN or infinity",
    "a row of NaN in a down_proj",
)
ALL_ZERO = AuditRule(
    "all_zero",
    "error",
    "{tensor} is zero everywhere: it was never written, or the copy lost it.",
    COPY_AGAIN,
    "a matrix of the family that is zero everywhere",
    "a down_proj of zeros",
)
ZERO_TENSOR = AuditRule(
    "zero_tensor",
    "warning",
    "{tensor} is zero everywhere.",
    IF_TRAINED,
    "the same where the family is not known",
    "a down_proj of zeros, and config.json names NovelForCausalLM",
)
CONSTANT = AuditRule(
    "constant",
    "warning",
    "{tensor} is {value:g} everywhere: it was never trained.",
    IF_TRAINED,
    "a matrix or norm that is one value everywhere",
    "a down_proj of 0.5",
)
CONSTANT_ROWS = AuditRule(
    "constant_rows",
    "warning",
    "{count:,} of {total:,} rows of {tensor} hold one value each: they were never trained, or written wrongly.",
    IF_TRAINED,
    "rows of a matrix that hold one value each",
    "row 7 of a gate_proj is 0.02",
)
ZERO_LINES = AuditRule(
    "zero_rows",
    "warning",
    "{count:,} of {total:,} {lines} of {tensor} ({share:.1%}) are zero: part of it was pruned or never written.",
    IF_TRAINED,
    "1 % of the rows or columns exactly zero",
    "40 of 768 rows of a gate_proj are zero",
)
FEW_ZERO_LINES = AuditRule(
    "few_zero_rows",
    "info",
    "{count:,} of {total:,} {lines} of {tensor} are zero.",
    NOTHING,
    "fewer rows or columns exactly zero",
    "2 of 768 rows of a gate_proj are zero",
)
MANY_ZERO_VALUES = AuditRule(
    "many_zeros",
    "warning",
    "{share:.1%} of {tensor} is exactly zero: part of it may never have been written.",
    IF_TRAINED,
    "5 % of the elements exactly zero, in no whole row or column",
    "a fifth of a q_proj set to zero at random",
)
BIAS_ZERO = AuditRule(
    "bias_zero",
    "warning",
    "{count} of {total} biases are exactly 0: they were dropped, never set or never trained.",
    IF_TRAINED,
    "biases with their initial value everywhere",
    "every bias set to zero",
)
IMPLAUSIBLE_VALUES = AuditRule(
    "implausible_values",
    "warning",
    "{tensor} has a root mean square of {rms:.3g}: its bytes may be another dtype.",
    "Compare its dtype with the one it was saved with.",
    "a matrix with a root mean square above 100",
    "a q_proj times 100,000",
)
CLIPPED_VALUES = AuditRule(
    "clipped_values",
    "error",
    "The largest value of {tensor} is only {peak:.2g} times its root mean square: most of its values were clipped to "
    "one size, or rounded to one bit.",
    "Convert it again from its source, into a type that holds its values.",
    "a matrix whose largest value is less than 1.6 times its root mean square (trained ones: from 3.7 up)",
    "a q_proj clipped at half of its standard deviation",
)


def check_values(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Non-finite, zero and constant tensors, zero rows and columns, sizes out of range."""
    yield from _not_examined(facts.checkpoint)
    zero_biases, biases = 0, 0
    for tensor in facts.tensors:
        if tensor.kind == "other":
            continue
        if tensor.stats.nonfinite:
            yield NONFINITE.finding(tensor.name, count=tensor.stats.nonfinite)
        if tensor.stats.rms is None:
            continue
        if tensor.kind == "bias":
            biases += 1
            zero_biases += tensor.stats.always(0.0)
        elif tensor.kind == "matrix":
            yield from _matrix(tensor)
    if zero_biases:
        yield BIAS_ZERO.finding(count=zero_biases, total=biases)


def _not_examined(checkpoint: Checkpoint) -> Iterator[AuditFinding]:
    """Tensors with data of a type that is listed only."""
    unread = [info for info in checkpoint.tensors.values() if info.elements and info.nbytes and not readable(info)]
    if unread:
        dtypes = ", ".join(sorted({info.dtype for info in unread}))
        total = len(checkpoint.tensors)
        yield NOT_EXAMINED.finding(unread[0].name, count=len(unread), total=total, dtypes=dtypes)


def _matrix(tensor: TensorFacts) -> Iterator[AuditFinding]:
    s, name = tensor.stats, tensor.name
    assert s.rms is not None and s.zeros is not None and s.min is not None
    if s.min == s.max and math.prod(tensor.info.shape) > 1:
        if s.min:
            yield CONSTANT.finding(name, value=s.min)
        else:
            yield (ALL_ZERO if tensor.known else ZERO_TENSOR).finding(name)
        return
    if s.rms > IMPLAUSIBLE_RMS.value:
        yield IMPLAUSIBLE_VALUES.finding(name, rms=s.rms)
    peak = max(-s.min, s.max or 0.0) / s.rms if s.rms else math.inf
    floats = s.dtype in FLOATS and tensor.known
    if floats and peak < CLIPPED_PEAK.value and tensor.scan.count >= CLIPPED_LEAST.value:
        yield CLIPPED_VALUES.finding(name, peak=peak)
    if tensor.tokens:
        return  # padded rows are zero
    rows = tensor.scan.row_squares
    if tensor.scan.constant_rows and s.dtype in FLOATS:
        yield CONSTANT_ROWS.finding(name, count=tensor.scan.constant_rows, total=len(rows))
    if trailing_zeros(rows) >= ZERO_TAIL.value * len(rows) and tensor.known:
        return  # the rules of zero_tails.py name it
    lines = (("rows", rows), ("columns", tensor.scan.column_squares))
    zero = [(word, squares, int((squares == 0).sum())) for word, squares in lines if squares is not None]
    for word, squares, count in zero:
        if count and len(squares) > 1:
            share = count / len(squares)
            rule = ZERO_LINES if share >= ZERO_ROWS.value else FEW_ZERO_LINES
            yield rule.finding(name, count=count, total=len(squares), share=share, lines=word)
    if s.zeros > MANY_ZEROS.value and s.dtype in FLOATS and not any(count for *_, count in zero):
        yield MANY_ZERO_VALUES.finding(name, share=s.zeros)


CHECK = Check(
    (
        *(NOT_EXAMINED, NONFINITE, ALL_ZERO, ZERO_TENSOR, CONSTANT, CONSTANT_ROWS, ZERO_LINES, FEW_ZERO_LINES),
        *(MANY_ZERO_VALUES, BIAS_ZERO, IMPLAUSIBLE_VALUES, CLIPPED_VALUES),
    ),
    check_values,
)
