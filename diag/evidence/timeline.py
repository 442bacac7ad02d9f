"""The losses of a run in their order, each a citation, and what they are held against."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from diag.evidence.conflicts.conflict import is_entropy
from diag.evidence.facts.extract import loss_in_nats
from diag.evidence.index import Connection
from diag.evidence.known_facts import FactRow, Filter, facts
from diag.units import LN2

_WHERE = re.compile(r"(?:epoch [\d.]+)?(?:, )?(?:step [\d.]+)?")
_VOCABULARY = re.compile(r"vocab(?:ulary)?(?:[ _]size)?", re.IGNORECASE)


@dataclass(frozen=True)
class Series:
    """The losses of one name in one run. axis: `epoch` or `step`. points: (where, fact), in order."""

    run: str
    name: str
    axis: str
    points: tuple[tuple[float, FactRow], ...]


@dataclass(frozen=True)
class Marks:
    """What the documents of a run say of its data, in nats; None where they say nothing. above: the first point about
    chance or above it."""

    chance_nats: float | None
    entropy_nats: float | None
    above: FactRow | None


def series(con: Connection, least: int = 2) -> list[Series]:
    """Every run's losses (names that hold `loss`) by epoch, else by step, in the order of run and name.
    Series of fewer than `least` points are none."""
    held: dict[tuple[str, str, str], dict[float, FactRow]] = {}
    for fact in facts(con, Filter(key="loss")):
        if not loss_in_nats(fact.name, fact.about, fact.unit, fact.raw, fact.number) or not _WHERE.fullmatch(
            fact.about
        ):
            continue
        axis = "epoch" if fact.epoch is not None else "step"
        where = fact.epoch if fact.epoch is not None else fact.step
        if where is not None and math.isfinite(fact.number or 0.0):
            held.setdefault((fact.run, fact.name, axis), {}).setdefault(where, fact)
    found = [
        Series(*key, tuple(sorted(points.items()))) for key, points in sorted(held.items()) if len(points) >= least
    ]
    return found


def is_vocabulary(fact: FactRow) -> bool:
    """Whether a fact is the size of a vocabulary."""
    return bool(_VOCABULARY.fullmatch(fact.name)) and (fact.number or 0.0) > 255


def marks(con: Connection, shown: list[Series]) -> Marks:
    """What the runs' own documents say of vocabulary and entropy; a run says nothing of another."""
    runs = {one.run for one in shown}
    asked = [facts(con, Filter(run=run, key=key)) for run in runs for key in ("vocab", "entropy")]
    said = [fact for found in asked for fact in found if fact.run in runs]
    sizes = [f.number for f in said if f.number and is_vocabulary(f)]
    entropies = [(f.number or 0.0) * (LN2 if f.unit == "bits" else 1.0) for f in said if is_entropy(f)]
    chance = math.log(max(sizes)) if sizes else None
    points = (fact for one in shown for _, fact in one.points)
    above = next((f for f in points if chance and (f.number or 0.0) >= ABOUT_CHANCE * chance), None)
    return Marks(chance, max(entropies, default=None), above)


ABOUT_CHANCE = 0.98  # as near as a loss of few tokens tells
