"""Rules about copies: the same tensor in two places, and what the head is to the embedding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from diag.checkpoints.audit.codes import AuditFinding, finding
from diag.checkpoints.audit.facts import Fact
from diag.checkpoints.passes.stats import TensorStats
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.signatures.tie import Tie

# A head stored in bfloat16 beside a float32 embedding is off by at most 2⁻⁸ of a weight.
ROUNDING = 2.0**-8
_STEP = 1 << 22  # bytes compared at once


def duplicates(checkpoint: Checkpoint, tensors: Sequence[Fact]) -> Iterator[AuditFinding]:
    """Matrices and norms that are byte for byte another one. Constant ones are not meant, and the tie judges head and
    embedding. Biases may well be equal: in GPT-NeoX two of a layer are added to the same stream and get one gradient.

    Cost: nothing where no digests agree; else both tensors are read once more.
    """
    groups: dict[bytes, list[Fact]] = defaultdict(list)
    for fact in tensors:
        if (
            fact.kind in ("matrix", "norm")
            and not fact.tokens
            and fact.stats.min != fact.stats.max
            and fact.info.streams
        ):
            groups[fact.scan.digest].append(fact)
    for group in groups.values():
        first, *rest = sorted(group, key=lambda f: (f.layer or 0, f.name))
        for fact in rest:
            if _same(checkpoint, first.name, fact.name):
                yield finding("duplicate_tensor", fact.name, other=first.name)


def _same(checkpoint: Checkpoint, one: str, other: str) -> bool:
    a, b = checkpoint.raw(one), checkpoint.raw(other)
    return a.size == b.size and all(
        np.array_equal(a[at : at + _STEP], b[at : at + _STEP]) for at in range(0, a.size, _STEP)
    )


def tie_findings(tie: Tie, stats: Mapping[str, TensorStats]) -> Iterator[AuditFinding]:
    """What the tie status means for whoever loads the file; `missing` is already named by `structure`."""
    if tie.status == "tied_diverged" and tie.max_abs_diff is not None and tie.embedding is not None:
        largest = max(abs(stats[tie.embedding].min or 0.0), abs(stats[tie.embedding].max or 0.0))
        if tie.max_abs_diff <= ROUNDING * largest and tie.cosine is not None and tie.cosine > 0.9999:
            yield finding("tied_rounded", tie.head, difference=tie.max_abs_diff)
            return
    if tie.status in ("tied_diverged", "placeholder", "untied_copy", "reinterpreted_copy"):
        yield finding(tie.status, tie.head, sentence=tie.sentence)
