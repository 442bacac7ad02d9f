"""What an injected defect is: edits on the model, another way of feeding the ids, or another unit of the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from diag.hypotheses.base import Context
from diag.model.edits.base import Edit
from diag.model.edits.fresh import Fresh

# How the ids are fed: the next id is the target; the one after it; the one that was read; or an id stands in front.
Feed = Literal["next", "shifted twice", "not shifted", "id in front"]


@dataclass(frozen=True)
class Injection:
    """One defect with its values. slot: of two defects in one slot only one can be there. edits: in the order in which
    they are made. unit: what the reported number is, as a multiple of the loss in nats. first: the id in front. source:
    that of its row. alone: it is not tried beside others, because it is one value of many."""

    name: str
    slot: str
    edits: tuple[Edit, ...] = ()
    feed: Feed = "next"
    unit: float = 1.0
    first: int | None = None
    source: str = ""
    alone: bool = False

    @property
    def drawn(self) -> bool:
        """Whether it draws tensors at random: another draw gives another loss."""
        return any(isinstance(edit, Fresh) for edit in self.edits)

    @property
    def rarity(self) -> int:
        """0 where three public reports or more know it, 3 where it is a variant of one, or known from none."""
        return 3 if self.source.startswith("variant") else 3 - min(3, self.source.count("#"))


@dataclass(frozen=True)
class RuntimeDefect:
    """A row of the table: `ways` gives the defect with every value that it is tried with, () where the model has no
    such part. source: the public report it is known from, or what it is a variant of."""

    name: str
    source: str
    ways: Callable[[Context], Iterable[Injection]]


def together(injections: Sequence[Injection]) -> tuple[Edit, ...]:
    """The edits of several defects, in the one order that they are applied in: by kind, and as the table has them."""
    return tuple(sorted((edit for each in injections for edit in each.edits), key=lambda edit: edit.order))


def fits(one: Injection, other: Injection) -> bool:
    """Whether the two can be there at once: other slots, no two edits of one kind on one tensor, at most one way of
    feeding the ids."""
    if one.slot == other.slot or (one.feed != "next" and other.feed != "next"):
        return False
    return not any(type(x) is type(y) and set(x.targets) & set(y.targets) for x in one.edits for y in other.edits)


def rarity(injections: Sequence[Injection]) -> tuple[int, int]:
    """Which of two sets that fit alike is the less likely: the larger one, then that of the rarer defects."""
    return len(injections), sum(each.rarity for each in injections)


def unit(injections: Sequence[Injection]) -> float:
    """What a program with these defects reports, as a multiple of its loss in nats."""
    return math.prod(each.unit for each in injections)
