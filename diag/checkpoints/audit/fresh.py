"""Rules about training that did not happen: fresh matrices, layers and models."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from diag.checkpoints.audit.facts import CheckpointFacts, TensorFacts
from diag.checkpoints.audit.rule import IF_TRAINED, AuditFinding, AuditRule, Check
from diag.checkpoints.passes.sums import fresh_variation
from diag.checkpoints.signatures.fresh import DISTRIBUTIONS, as_even_as_fresh, fresh_distribution
from diag.results.thresholds_checkpoints import (
    FRESH_MODEL,
    FRESH_NORMS,
    FRESH_TRAINED,
    FRESH_TRAINED_LAYERS,
    FRESH_UNDECIDED,
)

FRESH_INIT = AuditRule(
    "fresh_init",
    "warning",
    "The rows of {tensor} vary in norm by {cv:.4f}, as a fresh {kind} matrix does ({expected:.4f}): it looks "
    "untrained.",
    IF_TRAINED,
    "norms of rows and columns of the embedding or the head as alike as in a fresh Gaussian or uniform matrix",
    "a Gaussian embedding",
)
FRESH_LAYER = AuditRule(
    "fresh_layer",
    "warning",
    "{tensor} looks freshly initialised: its rows vary in norm by {cv:.4f}, as a {kind} matrix does "
    "({expected:.4f}); in the median of the other layers it is {others:.4f}.",
    IF_TRAINED,
    "the same of one layer among trained ones, where too few matrices have the width that config.json states to "
    "compare them",
    "a Gaussian q_proj, and config.json states a hidden size of 128",
)
WHOLE_MODEL = AuditRule(
    "fresh_model",
    "warning",
    "{count} of {total} matrices look freshly initialised: the model was not trained, or not loaded.",
    IF_TRAINED,
    "the same of nearly all matrices",
    "every matrix Gaussian",
)
FRESH_MATRIX = AuditRule(
    "fresh_matrix",
    "warning",
    "{tensor} resembles no other matrix of the model in any order, and its rows and columns are as even as those of "
    "random numbers: it was never trained.",
    IF_TRAINED,
    "a matrix that resembles no other of the model, while at least three quarters do, and whose norms of rows and "
    "columns vary no more than in a fresh one ([measured](signatures.md))",
    "a Gaussian down_proj",
)


def check_fresh(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Embedding and head on their own; other matrices against the rest of the model; the model as a whole.

    With layout scores, a matrix is fresh that resembles no other in any order while most do, and whose norms of rows
    and columns are even (docs/signatures.md: trained v, gate and up of small models have such norms too). Without, its
    norms are held against those of the same role.
    """
    matrices = [t for t in facts.tensors if t.kind == "matrix" and len(t.info.shape) == 2 and not t.stats.nonfinite]
    looks = {t.name: fresh_distribution(t.scan) for t in matrices}
    scored = {s.tensor: s for s in facts.layout}
    for tensor in matrices:
        trained = tensor.name in scored and not scored[tensor.name].undecided
        if tensor.tokens and not trained and (kind := looks[tensor.name]):
            yield _said(FRESH_INIT, tensor, kind)
    judged = [t for t in matrices if not t.tokens and min(t.info.shape) >= FRESH_NORMS.value]
    count = sum(looks[t.name] is not None for t in judged)
    if judged and count >= FRESH_MODEL.value * len(judged):
        yield WHOLE_MODEL.finding(count=count, total=len(judged))
        return
    alien = {s.tensor for s in facts.layout if s.undecided}
    if facts.layout:
        if len(alien) <= FRESH_UNDECIDED.value * len(facts.layout):
            even = (t for t in judged if t.name in alien and t.stats.rms and as_even_as_fresh(t.scan))
            yield from (FRESH_MATRIX.finding(t.name) for t in even)
        return
    for tensor in judged:
        if kind := looks[tensor.name]:
            yield from _among_trained(tensor, kind, judged)


def _among_trained(tensor: TensorFacts, kind: str, judged: list[TensorFacts]) -> Iterator[AuditFinding]:
    """A matrix that looks fresh while those of the same role in other layers do not."""
    others = [t for t in judged if t.role == tensor.role and t.role is not None and t.name != tensor.name]
    spread = [t.stats.row_norm_cv or 0.0 for t in others]
    fresh = [fresh_variation(t.info.shape[1]) for t in others]
    trained = sum(cv > FRESH_TRAINED.value * expected for cv, expected in zip(spread, fresh, strict=True))
    if trained >= FRESH_TRAINED_LAYERS.value and 2 * trained >= len(others):
        yield _said(FRESH_LAYER, tensor, kind, others=median(spread))


def _said(rule: AuditRule, tensor: TensorFacts, kind: str, **more: float) -> AuditFinding:
    expected = DISTRIBUTIONS[kind] * fresh_variation(tensor.info.shape[1])
    return rule.finding(tensor.name, cv=tensor.stats.row_norm_cv or 0.0, expected=expected, kind=kind, **more)


CHECK = Check((FRESH_INIT, FRESH_LAYER, WHOLE_MODEL, FRESH_MATRIX), check_fresh)
