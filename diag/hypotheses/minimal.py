"""Which of n differences between a checkpoint and its twin cost the loss: group testing from the repaired side.

From the broken side one defect hides another: behind a random head nothing else shows. So everything is repaired first,
and groups are put back: a group whose return costs nothing is no culprit, one that costs something is halved. For k
culprits among n differences that takes about 2·k·log2(n / k) passes (binary splitting, Hwang 1972, with both halves
asked at once).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from diag.hypotheses.gain import Gain, gain

T = TypeVar("T", bound=Hashable)
Ask = Callable[[Sequence[tuple[T, ...]]], list[np.ndarray]]


@dataclass(frozen=True)
class Culprits(Generic[T]):
    """kept: the repairs that are needed, in the order given; nothing more can be put back. sets: evaluated so far."""

    kept: tuple[T, ...]
    sets: int


class PutBack(Generic[T]):
    """The search. `ask` gives per-sequence losses [sequences], nats, with exactly these repairs in force, one array a
    set; `alike` says which repairs could only make sense together, such as two halves of one permutation. What is put
    back may cost `allowed` nats in all, even where noise hides it."""

    def __init__(
        self,
        repairs: Sequence[T],
        ask: Ask[T],
        chance_nats: float,
        alike: Callable[[T], Hashable],
        allowed: float = math.inf,
    ) -> None:
        self.repairs, self._ask, self._chance, self._alike = tuple(repairs), ask, chance_nats, alike
        self._allowed = allowed
        self._known: dict[frozenset[T], np.ndarray] = {}
        self.sets = 0

    def run(self) -> Culprits[T]:
        """Put back whatever costs nothing."""
        kept = set(self.repairs)
        self._learn([kept, set()])
        groups = [self.repairs] if self.repairs and self._costs(set()) else []
        if not groups:
            kept = set()
        while groups:
            kept, groups = self._level(kept, groups)
        kept = self._last_try(kept)
        return Culprits(tuple(r for r in self.repairs if r in kept), self.sets)

    def _level(self, kept: set[T], groups: list[tuple[T, ...]]) -> tuple[set[T], list[tuple[T, ...]]]:
        """Halve every group that costs something; all halves are asked for in one round."""
        halves = [half for group in groups if len(group) > 1 for half in _halved(group)]
        self._learn([kept - set(half) for half in halves])
        free = [half for half in halves if not self._costs(kept - set(half))]
        costly = [half for half in halves if half not in free]
        together = kept.difference(*free) if free else kept
        if len(free) > 1:
            self._learn([together])
        if len(free) <= 1 or not self._costs(together):
            return together, costly
        for half in free:  # each costs nothing alone and they do together: one after the other
            self._learn([kept - set(half)])
            if self._costs(kept - set(half)):
                costly.append(half)
            else:
                kept = kept - set(half)
        return kept, costly

    def _last_try(self, kept: set[T]) -> set[T]:
        """Later groups may have changed what an earlier one costs: each one again, those that are alike together, and
        whether a single one would do."""
        if len(kept) < 2:
            return kept
        families: dict[Hashable, set[T]] = {}
        for one in kept:
            families.setdefault(self._alike(one), set()).add(one)
        together = [family for family in families.values() if 1 < len(family) < len(kept)]
        self._learn([{one} for one in kept] + [kept - family for family in together])
        alone = [one for one in self.repairs if one in kept and not self._costs({one})]
        if alone:
            return {alone[0]}
        for family in together:
            if kept - family and not self._costs(kept - family):
                kept = kept - family
        changed = True
        while changed and len(kept) > 1:
            ordered = [one for one in self.repairs if one in kept]
            self._learn([kept - {one} for one in ordered])
            spare = [one for one in ordered if not self._costs(kept - {one})]
            changed = bool(spare)
            if spare:
                kept = kept - {spare[0]}
        return kept

    def _costs(self, repaired: set[T]) -> bool:
        """Whether these repairs alone leave a material loss over all of them, or more than is allowed."""
        over = self.harm(repaired)
        return over.material or (over.delta is not None and over.delta > self._allowed)

    def harm(self, repaired: set[T]) -> Gain:
        """What is lost, nats, with only these repairs in force instead of all."""
        self._learn([repaired])
        return gain(self._known[frozenset(repaired)], self._known[frozenset(self.repairs)], self._chance)

    def _learn(self, sets: Sequence[set[T]]) -> None:
        new = [s for s in dict.fromkeys(map(frozenset, sets)) if s not in self._known]
        self.sets += sum(bool(s) for s in new)  # the checkpoint as loaded has been measured already
        ordered = [tuple(r for r in self.repairs if r in s) for s in new]
        self._known |= dict(zip(new, self._ask(ordered), strict=True))


def _halved(group: tuple[T, ...]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    middle = len(group) // 2
    return group[:middle], group[middle:]
