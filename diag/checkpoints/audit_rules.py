"""The rules of the static audit: each takes what was read and yields findings. No rule reads the file again."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from diag.checkpoints.codes import AuditFinding, finding
from diag.checkpoints.families import contradiction, expected_shape, expected_tensors
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.stats import TensorStats
from diag.checkpoints.tie import Tie, fresh_variation
from diag.errors import one_line

# Names that trainers and old exporters leave in a file; no forward pass uses them.
HARMLESS = re.compile(r".*\.rotary_emb\.inv_freq|.*\.attn\.(masked_)?bias|__training__\..*")
# Row norms of a fresh matrix vary by 1/√(2d) when it is Gaussian, by 0.632 of that when it is uniform (kurtosis 1.8).
# Trained embeddings and heads of two small Qwen2 have 2.7 to 3.8 times that; 10 % covers the scatter of the rest.
FRESH_KINDS = {"Gaussian": 1.0, "uniform": math.sqrt(0.4)}
FRESH_TOLERANCE = 0.1
FRESH_MIN_ROWS = 64  # with fewer rows the scatter of the estimate exceeds the tolerance
# Trained weights have a root mean square of 0.01 to 1; float16 bytes read as bfloat16 give values around 1e4.
IMPLAUSIBLE_RMS = 100.0
# Trained matrices hold practically no exact zeros; a truncated copy leaves whole stretches of them.
MANY_ZEROS = 0.05
# A head stored in bfloat16 beside a float32 embedding is off by at most 2⁻⁸ of a weight.
ROUNDING = 2.0**-8


def structure(checkpoint: Checkpoint) -> Iterator[AuditFinding]:
    """Names and shapes against what the family and config.json ask for."""
    family = checkpoint.family
    if family is None:
        return
    config = checkpoint.config
    if sentence := contradiction(config.declared_architecture, config.model_type, family):
        yield finding("architecture_contradiction", sentence=sentence)
    expected, head = expected_tensors(family, config), family.roles["head"].tensor()
    for name, shape in expected.items():
        if name not in checkpoint.tensors:
            yield finding("head_missing" if name == head else "missing_tensor", name, shape=list(shape))
    for name, info in checkpoint.tensors.items():
        wanted = expected.get(name) or (expected_shape(family, config, "head") if name == head else None)
        if wanted is None:
            harmless = HARMLESS.fullmatch(name)
            shown = one_line(name, 200)
            yield finding("ignored_tensor" if harmless else "unexpected_tensor", shown, family=family.name)
        elif name == head and not info.nbytes:
            continue  # the tie says it
        elif not info.nbytes:
            yield finding("no_data", name)
        elif info.shape != wanted:
            yield finding("misshapen", name, found=list(info.shape), shape=list(wanted))
    for note in checkpoint.notes:
        yield finding("file_note", sentence=note)


def values(checkpoint: Checkpoint, stats: Mapping[str, TensorStats]) -> Iterator[AuditFinding]:
    """Numbers that no trained model has: non-finite, zero, exactly one, fresh, of an impossible size."""
    family = checkpoint.family
    if family is None:
        return
    zero_biases, biases = 0, 0
    for name, s in stats.items():
        found = family.role_of(name)
        kind = family.roles[found[0]].kind if found else None
        if s.nonfinite:
            yield finding("nonfinite", name, count=s.nonfinite)
        if found is None or s.rms is None:
            continue
        if kind == "bias":
            biases += 1
            zero_biases += s.always(0.0)
        elif kind == "norm" and s.always(0.0):
            yield finding("norm_zero" if family.norm_offset == 0 else "norm_one", name)
        elif kind == "norm" and s.always(1.0):
            yield finding("norm_one", name)
        elif kind == "matrix":
            yield from _matrix(name, found[0], s)
    if zero_biases:
        yield finding("bias_zero", count=zero_biases, total=biases)


def _matrix(name: str, role: str, s: TensorStats) -> Iterator[AuditFinding]:
    if s.always(0.0):
        yield finding("all_zero", name)
        return
    if s.zeros is not None and s.zeros > MANY_ZEROS and role not in ("embedding", "head"):  # padded rows are zero
        yield finding("many_zeros", name, share=s.zeros)
    if s.rms is not None and s.rms > IMPLAUSIBLE_RMS:
        yield finding("implausible_values", name, rms=s.rms)
    if role in ("embedding", "head") and s.row_norm_cv is not None and s.shape[0] >= FRESH_MIN_ROWS:
        for kind, factor in FRESH_KINDS.items():
            expected = factor * fresh_variation(s.shape[1])
            if abs(s.row_norm_cv / expected - 1) < FRESH_TOLERANCE:
                yield finding("fresh_init", name, cv=s.row_norm_cv, expected=expected, kind=kind)


def tie_findings(tie: Tie, stats: Mapping[str, TensorStats]) -> Iterator[AuditFinding]:
    """What the tie status means for whoever loads the file; `missing` is already named by `structure`."""
    if tie.status == "tied_diverged" and tie.max_abs_diff is not None and tie.embedding is not None:
        largest = max(abs(stats[tie.embedding].min or 0.0), abs(stats[tie.embedding].max or 0.0))
        if tie.max_abs_diff <= ROUNDING * largest and tie.cosine is not None and tie.cosine > 0.9999:
            yield finding("tied_rounded", tie.head, difference=tie.max_abs_diff)
            return
    if tie.status in ("tied_diverged", "placeholder", "untied_copy", "reinterpreted_copy"):
        yield finding(tie.status, tie.head, sentence=tie.sentence)
