"""Losses of watched logs that are about chance or above it: what a run that does not learn prints first."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from diag.evidence.facts.extract import LARGEST_VOCABULARY
from diag.evidence.index import Connection
from diag.evidence.known_facts import FactRow, Filter, facts
from diag.evidence.timeline import ABOUT_CHANCE, Series, is_vocabulary, series

_TRAIN = re.compile(r"train", re.IGNORECASE)


@dataclass(frozen=True)
class Raised:
    """The first loss of a run that is about chance or above it. chance_nats: ln of the vocabulary that its documents
    state; None where they state none and the loss is above that of every vocabulary in use."""

    run: str
    fact: FactRow
    chance_nats: float | None


def raised(con: Connection) -> list[Raised]:
    """One for each run, in the order of runs. A model that learns from scratch begins at chance: what it has left
    behind by its newest loss is no news. Reads the facts of losses and vocabularies: 10 ms for 10,000."""
    sizes: dict[str, float] = {}
    for fact in facts(con, Filter(key="vocab")):
        if is_vocabulary(fact):
            sizes[fact.run] = max(sizes.get(fact.run, 0.0), fact.number or 0.0)
    runs: dict[str, list[Series]] = {}
    for one in series(con, least=1):
        runs.setdefault(one.run, []).append(one)
    found = []
    for run, shown in runs.items():
        chance = math.log(sizes[run]) if run in sizes else None
        limit = ABOUT_CHANCE * chance if chance else math.log(LARGEST_VOCABULARY)
        held_out = [one for one in shown if not _TRAIN.search(one.name)]
        above = next(filter(None, (first_above(one, limit) for one in held_out or shown)), None)
        if above:
            found.append(Raised(run, above, chance))
    return found


def first_above(one: Series, limit: float) -> FactRow | None:
    """The first point at `limit` or above, but not where a run only begins: at step 0, or before it first fell."""
    points = [(where, fact) for where, fact in one.points if one.axis == "epoch" or where > 0]
    high = [(fact.number or 0.0) >= limit for _, fact in points]
    if not points or not any(high):
        return None
    if high[-1] and all(high):
        return points[0][1]
    fell = high.index(False)
    return next((fact for (_, fact), above in zip(points[fell:], high[fell:], strict=True) if above), None)
