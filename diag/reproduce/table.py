"""Every defect that is injected: a new one is a row of its file."""

from __future__ import annotations

from dataclasses import replace

from diag.hypotheses.base import Context
from diag.reproduce.base import Injection, RuntimeDefect
from diag.reproduce.in_forward import IN_FORWARD
from diag.reproduce.in_loss import IN_LOSS
from diag.reproduce.in_weights import IN_WEIGHTS

DEFECTS: tuple[RuntimeDefect, ...] = IN_WEIGHTS + IN_FORWARD + IN_LOSS


def injections(context: Context) -> list[Injection]:
    """What this model can have, with every value that is tried, in the order of the table."""
    found: dict[str, Injection] = {}
    for defect in DEFECTS:
        for way in defect.ways(context):
            found.setdefault(way.name, replace(way, source=defect.source))
    return list(found.values())
