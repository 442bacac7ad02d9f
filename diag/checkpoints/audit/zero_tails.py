"""Rules about copies that were cut short: matrices, and whole files, that end in zeros."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diag.checkpoints.audit.facts import CheckpointFacts, TensorFacts
from diag.checkpoints.audit.rule import COPY_AGAIN, AuditFinding, AuditRule, Check
from diag.checkpoints.dtypes import Array
from diag.results.thresholds_checkpoints import (
    ZERO_TAIL,
    ZERO_TAIL_BYTES,
    ZERO_TAIL_OF_FILE,
    ZERO_TAIL_OF_TOKENS,
    ZERO_TAIL_ROWS,
)

TRUNCATED = AuditRule(
    "truncated",
    "error",
    "The last {share:.1%} of {file} ({nbytes:,} bytes, from inside {tensor} on) is zero: the copy was cut short.",
    COPY_AGAIN,
    "whole rows of zeros at the end of a file (1 %, a matrix among them)",
    "zeros from the middle of an up_proj to the end of the file",
)
TAIL = AuditRule(
    "zero_tail",
    "error",
    "The last {count:,} of {total:,} rows of {tensor} are zero: it was written or copied in part.",
    COPY_AGAIN,
    "whole rows of zeros at the end of a matrix (10 %; 25 % of an embedding)",
    "168 of 768 rows at the end of a gate_proj are zero",
)


def check_zero_tails(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Only tensors of known roles: others may be sparse by design."""
    cut: set[str] = set()
    for number, file in enumerate(facts.checkpoint.files):
        inside = [t for t in facts.tensors if t.info.file == number]
        tail, names, matrix = 0, [], False
        for tensor in sorted(inside, key=lambda t: -t.info.offset):
            lines = len(tensor.scan.row_squares)
            zero = 0 if tensor.stats.nonfinite else trailing_zeros(tensor.scan.row_squares)
            if zero:
                tail += tensor.info.nbytes * zero // lines  # by whole rows
                names.append(tensor.name)
                matrix |= tensor.kind == "matrix" and tensor.known and zero >= _enough(tensor)
            if zero < lines:
                break
        size = sum(t.info.nbytes for t in inside) or 1
        if matrix and tail >= ZERO_TAIL_BYTES.value and tail / size >= ZERO_TAIL_OF_FILE.value:
            yield TRUNCATED.finding(names[-1], share=tail / size, file=file.name, nbytes=tail)
            cut |= set(names)
    for tensor in facts.tensors:
        rows = len(tensor.scan.row_squares)
        if tensor.kind == "matrix" and tensor.known and tensor.name not in cut:
            zero = trailing_zeros(tensor.scan.row_squares)
            if _enough(tensor) <= zero < rows and not tensor.stats.nonfinite:
                yield TAIL.finding(tensor.name, count=zero, total=rows)


def trailing_zeros(squares: Array) -> int:
    """How many of the last values are zero."""
    filled = np.flatnonzero(squares)
    return len(squares) - 1 - int(filled[-1]) if len(filled) else len(squares)


def _enough(tensor: TensorFacts) -> float:
    """Rows of zeros that make a tail."""
    share = ZERO_TAIL_OF_TOKENS if tensor.tokens else ZERO_TAIL
    return max(ZERO_TAIL_ROWS.value, share.value * len(tensor.scan.row_squares))


CHECK = Check((TRUNCATED, TAIL), check_zero_tails)
