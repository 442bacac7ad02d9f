"""Rules about norm weights: never trained, zero, or stored under the other offset convention."""

from __future__ import annotations

from collections.abc import Iterator

from diag.checkpoints.audit.facts import CheckpointFacts, TensorFacts
from diag.checkpoints.audit.rule import COPY_AGAIN, IF_TRAINED, AuditFinding, AuditRule, Check
from diag.checkpoints.audit.values import CONSTANT
from diag.checkpoints.families import Family
from diag.results import thresholds_checkpoints as limits

NORM_ZERO = AuditRule(
    "norm_zero",
    "error",
    "The norm weight {tensor} is exactly {value:g} everywhere, which multiplies by 0: it blocks the whole stream.",
    COPY_AGAIN,
    "a norm that multiplies by 0: 0, or −1 where the family multiplies by 1 + w",
    "a norm of zeros",
)
NORM_ONE = AuditRule(
    "norm_one",
    "warning",
    "The norm weight {tensor} is exactly {value:g} everywhere, its initial value: it was never loaded or trained.",
    IF_TRAINED,
    "norms with their initial value everywhere",
    "a norm of ones",
)
NORM_OFFSET = AuditRule(
    "norm_offset",
    "warning",
    "{count} of {total} norm weights of the file {lie}, but {family} multiplies by {formula}: the offset of 1 was "
    "{step}.",
    "{repair} Test H4C measures the loss with it.",
    "a quarter of the norms or more negative in 30 % of their weights, where the family multiplies by w; close around "
    "1, where it multiplies by 1 + w",
    "every norm less 1",
)


def check_norms(facts: CheckpointFacts) -> Iterator[AuditFinding]:
    """Exactly 0 or 1 everywhere, and the convention. The final norm counts as one of many."""
    family = facts.checkpoint.family
    offset = family.norm_offset if family else None
    norms = [t for t in facts.tensors if t.kind == "norm" and t.stats.mean is not None and not t.stats.nonfinite]
    for norm in norms:
        value = norm.stats.min
        if value is None or not norm.stats.always(value):
            continue
        if offset is not None and value == -offset:
            yield NORM_ZERO.finding(norm.name, value=value)
        elif value == 0.0 or (value == 1.0 and offset != 1):
            yield NORM_ONE.finding(norm.name, value=value)
        elif norm.info.elements > 1:
            yield CONSTANT.finding(norm.name, value=value)
    if family is not None:
        yield from _added_twice(family, norms) if offset else _taken_away(family, norms)


def _added_twice(family: Family, norms: list[TensorFacts]) -> Iterator[AuditFinding]:
    """A norm that multiplies by 1 + w starts at 0 and trained ones are found anywhere (final norms far above 1), so
    only a file whose norms nearly all lie close around 1 is called: a briefly trained 1 + w looks so, plus 1."""
    around = [n for n in norms if _lies_around_one(n)]
    if len(norms) >= limits.NORM_COUNT.value and len(around) >= limits.NORM_AROUND_ONE_NORMS.value * len(norms):
        yield NORM_OFFSET.finding(
            count=len(around),
            total=len(norms),
            lie="lie around 1",
            family=family.name,
            formula="1 + w",
            step="added twice",
            repair="Subtract 1 from every norm weight.",
        )


def _taken_away(family: Family, norms: list[TensorFacts]) -> Iterator[AuditFinding]:
    """A plain norm starts at 1 and hardly ever crosses 0. Trained ones can be small (Llama's first layers lie near
    0.05), so the size tells nothing, and the sign does."""
    trained = [n for n in norms if n.stats.min != n.stats.max]
    below = sum(_negative_share(n) >= limits.NORM_NEGATIVE_SHARE.value for n in trained)
    if below >= max(limits.NORM_COUNT.value, limits.NORM_NEGATIVE_NORMS.value * len(trained)):
        yield NORM_OFFSET.finding(
            count=below,
            total=len(trained),
            lie="are negative in large part",
            family=family.name,
            formula="w",
            step="taken away",
            repair="Add 1 to every norm weight.",
        )


def _lies_around_one(norm: TensorFacts) -> bool:
    mean, std = norm.stats.mean or 0.0, norm.stats.std or 0.0
    return abs(mean - 1) < limits.NORM_AROUND_ONE.value and std < limits.NORM_NARROW.value


def _negative_share(norm: TensorFacts) -> float:
    """The share of its weights below 0, from the histogram, whose middle is 0."""
    counts = norm.scan.histogram
    return float(counts[: len(counts) // 2].sum() / max(1, counts.sum()))


CHECK = Check((NORM_ZERO, NORM_ONE, NORM_OFFSET), check_norms)
