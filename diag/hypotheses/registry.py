"""Every hypothesis that Subrandom tests, in the order of the ids. To add one, write its file and add its line."""

from __future__ import annotations

from diag.errors import InputError
from diag.hypotheses import h4a_tied, h4b_layout, h4c_norm, h4d_residual
from diag.hypotheses.base import Hypothesis

# H0 (is it the data?) is decided by the suite before any of these: while it holds, everything else waits.
DATA = "H0"

REGISTRY: tuple[Hypothesis, ...] = (
    h4a_tied.HYPOTHESIS,
    h4b_layout.HYPOTHESIS,
    h4c_norm.HYPOTHESIS,
    h4d_residual.HYPOTHESIS,
)


def select(ids: tuple[str, ...]) -> tuple[Hypothesis, ...]:
    """The hypotheses with these ids, or all; an unknown id is an InputError that lists the known ones."""
    known = {h.id: h for h in REGISTRY}
    for wanted in ids:
        if wanted not in known and wanted != DATA:
            raise InputError(f"There is no hypothesis '{wanted}'.", fix=f"Known: {DATA}, {', '.join(known)}.")
    return tuple(h for h in REGISTRY if not ids or h.id in ids)
