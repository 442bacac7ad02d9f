"""Rules about norm weights: never trained, zero, or stored under the other offset convention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from diag.checkpoints.audit.codes import AuditFinding, finding
from diag.checkpoints.audit.facts import Fact
from diag.checkpoints.families import Family

MIN_NORMS = 3
# A plain norm starts at 1 and hardly ever crosses 0 (trained ones can be small: Llama's first layers lie near 0.05, so
# the size tells nothing, the sign does). Stored minus 1, a third to three quarters of the norms have many negative
# weights; the others grew beyond 1. As trained, none of 141 norms of nine models has a negative weight.
NEGATIVE, SOME = 0.3, 0.25
# A norm that multiplies by 1 + w starts at 0 and trained ones are found anywhere (final norms far above 1), so only a
# file whose norms nearly all sit close around 1 is called: that is what a briefly trained 1 + w looks like, plus 1.
AROUND_ONE, NARROW, MOST = 0.2, 0.3, 0.8


def norms(family: Family | None, tensors: Sequence[Fact]) -> Iterator[AuditFinding]:
    """Exactly 0 or 1 everywhere, and the convention. The final norm counts as one of many."""
    offset = family.norm_offset if family else None
    found = [f for f in tensors if f.kind == "norm" and f.stats.mean is not None and not f.stats.nonfinite]
    for fact in found:
        value = fact.stats.min
        if value is None or not fact.stats.always(value):
            continue
        if offset is not None and value == -offset:
            yield finding("norm_zero", fact.name, value=value)
        elif value == 0.0 or (value == 1.0 and offset != 1):
            yield finding("norm_one", fact.name, value=value)
        elif fact.info.elements > 1:
            yield finding("constant", fact.name, value=value)
    trained = [f for f in found if f.stats.min != f.stats.max]
    if family is not None and offset == 1:
        around = [f for f in found if abs((f.stats.mean or 0.0) - 1) < AROUND_ONE and (f.stats.std or 0.0) < NARROW]
        if len(found) >= MIN_NORMS and len(around) >= MOST * len(found):
            yield _offset(family, len(around), len(found))
    elif family is not None and len(trained) >= MIN_NORMS:
        below = sum(_negative(f) >= NEGATIVE for f in trained)
        if below >= max(MIN_NORMS, SOME * len(trained)):
            yield _offset(family, below, len(trained))


def _offset(family: Family, count: int, total: int) -> AuditFinding:
    formula, lie, step, repair = (
        ("1 + w", "lie around 1", "added twice", "Subtract 1 from every norm weight.")
        if family.norm_offset
        else ("w", "are negative in large part", "taken away", "Add 1 to every norm weight.")
    )
    return finding(
        "norm_offset",
        count=count,
        total=total,
        lie=lie,
        family=family.name,
        formula=formula,
        step=step,
        repair=f"{repair} Test H4C measures the loss with it.",
    )


def _negative(fact: Fact) -> float:
    """The share of its weights below 0, from the histogram, whose middle is 0."""
    counts = fact.scan.histogram
    return float(counts[: len(counts) // 2].sum() / max(1, counts.sum()))
