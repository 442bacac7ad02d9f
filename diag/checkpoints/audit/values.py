"""Rules about values that no trained weight has: not finite, zero, constant, of an impossible size; and cut copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from diag.checkpoints.audit.codes import AuditFinding, finding
from diag.checkpoints.audit.facts import Fact
from diag.checkpoints.dtypes import Array
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import Checkpoint

# Trained weights have a root mean square of 0.01 to 1; float16 bytes read as bfloat16 give values around 1e4.
IMPLAUSIBLE_RMS = 100.0
# Trained matrices hold practically no exact zeros; a truncated copy leaves whole stretches of them.
FLOATS = ("F64", "F32", "F16", "BF16")  # in a few bits, exact zeros are ordinary values
MANY_ZEROS = 0.05
ZERO_ROWS = 0.01
# A tail of zeros is a cut copy from this share of a matrix on; of an embedding, whose end is often padding, more.
TAIL, TAIL_OF_TOKENS = 0.1, 0.25
# Of a file: this share and so many bytes, a matrix among them (biases and padding are zero in sound files).
TAIL_OF_FILE, TAIL_BYTES = 0.01, 4096


def values(tensors: Sequence[Fact]) -> Iterator[AuditFinding]:
    """Non-finite, zero and constant tensors, zero rows and columns, sizes out of range."""
    zero_biases, biases = 0, 0
    for fact in tensors:
        if fact.kind == "other":
            continue
        if fact.stats.nonfinite:
            yield finding("nonfinite", fact.name, count=fact.stats.nonfinite)
        if fact.stats.rms is None:
            continue
        if fact.kind == "bias":
            biases += 1
            zero_biases += fact.stats.always(0.0)
        elif fact.kind == "matrix":
            yield from _matrix(fact)
    if zero_biases:
        yield finding("bias_zero", count=zero_biases, total=biases)


def not_examined(checkpoint: Checkpoint) -> Iterator[AuditFinding]:
    """Tensors with data of a type that is listed only."""
    unread = [info for info in checkpoint.tensors.values() if info.elements and info.nbytes and not readable(info)]
    if unread:
        dtypes = ", ".join(sorted({info.dtype for info in unread}))
        yield finding("not_examined", unread[0].name, count=len(unread), total=len(checkpoint.tensors), dtypes=dtypes)


def _matrix(fact: Fact) -> Iterator[AuditFinding]:
    s, name = fact.stats, fact.name
    assert s.rms is not None and s.zeros is not None and s.min is not None
    if s.min == s.max and prod(fact.info.shape) > 1:
        if s.min:
            yield finding("constant", name, value=s.min)
        else:
            yield finding("all_zero" if fact.known else "zero_tensor", name)
        return
    if s.rms > IMPLAUSIBLE_RMS:
        yield finding("implausible_values", name, rms=s.rms)
    if fact.tokens:
        return  # padded rows are zero
    if fact.scan.constant_rows and s.dtype in FLOATS:
        yield finding("constant_rows", name, count=fact.scan.constant_rows, total=len(fact.scan.row_squares))
    rows = _trailing(fact.scan.row_squares)
    if rows >= TAIL * len(fact.scan.row_squares) and fact.known:
        return  # named below
    lines = (("rows", fact.scan.row_squares), ("columns", fact.scan.column_squares))
    zero = [(word, squares, int((squares == 0).sum())) for word, squares in lines if squares is not None]
    for word, squares, count in zero:
        if count and len(squares) > 1:
            share = count / len(squares)
            code = "zero_rows" if share >= ZERO_ROWS else "few_zero_rows"
            yield finding(code, name, count=count, total=len(squares), share=share, lines=word)
    if s.zeros > MANY_ZEROS and s.dtype in FLOATS and not any(count for *_, count in zero):
        yield finding("many_zeros", name, share=s.zeros)


def truncation(checkpoint: Checkpoint, tensors: Sequence[Fact]) -> Iterator[AuditFinding]:
    """Matrices, and whole files, that end in zeros. Only tensors of known roles: others may be sparse by design."""
    cut: set[str] = set()
    for number, file in enumerate(checkpoint.files):
        inside = [f for f in tensors if f.info.file == number]
        tail, names, matrix = 0, [], False
        for fact in sorted(inside, key=lambda f: -f.info.offset):
            lines = len(fact.scan.row_squares)
            zero = 0 if fact.stats.nonfinite else _trailing(fact.scan.row_squares)
            if zero:
                tail += fact.info.nbytes * zero // lines  # by whole rows
                names.append(fact.name)
                matrix |= fact.kind == "matrix" and fact.known and zero >= _enough(fact)
            if zero < lines:
                break
        size = sum(f.info.nbytes for f in inside) or 1
        if matrix and tail >= TAIL_BYTES and tail / size >= TAIL_OF_FILE:
            yield finding("truncated", names[-1], share=tail / size, file=file.name, nbytes=tail)
            cut |= set(names)
    for fact in tensors:
        rows = len(fact.scan.row_squares)
        if fact.kind == "matrix" and fact.known and fact.name not in cut:
            zero = _trailing(fact.scan.row_squares)
            if _enough(fact) <= zero < rows and not fact.stats.nonfinite:
                yield finding("zero_tail", fact.name, count=zero, total=rows)


def _enough(fact: Fact) -> float:
    return max(2.0, (TAIL_OF_TOKENS if fact.tokens else TAIL) * len(fact.scan.row_squares))


def _trailing(squares: Array) -> int:
    """How many of the last values are zero."""
    filled = np.flatnonzero(squares)
    return len(squares) - 1 - int(filled[-1]) if len(filled) else len(squares)
