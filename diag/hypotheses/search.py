"""Find the smallest set of repairs that explains a loss, when defects may stack and hide one another.

Greedy growth (accept the best material repair, test all others again on top), then pruning (try to take each out
again). Behind a random head nothing else shows, so when growth from nothing leaves the loss unexplained it is started
again from repairs that are not material alone: first those that a signature backs, then the best of each hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Protocol

import numpy as np

from diag.hypotheses.base import Repair
from diag.hypotheses.gain import Gain, gain
from diag.model.edits import Copy, Edit, FromReference, Reorder, SetEps, Shift, SkipBlock
from diag.results.finding import Screened
from diag.results.thresholds import (
    FULL_PER_ROUND,
    HOPELESS_NATS,
    JOINT_SIZE,
    SCREEN_NATS,
    SCREEN_SEQUENCES,
    STARTS,
    Threshold,
)


class Losses(Protocol):
    """What evaluates edits: per-sequence losses [n] in nats (`diag.model.evaluate.Evaluator`)."""

    sequences: int

    def losses(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray: ...


@dataclass(frozen=True)
class Candidate:
    """A repair and the hypothesis it belongs to; `signed` when that hypothesis's signature is present."""

    hypothesis: str
    repair: Repair
    signed: bool = False

    @property
    def cost(self) -> tuple[int, int]:
        """Less is more specific: how far it reaches for bytes, then how many tensors it touches."""
        return self.repair.borrows, sum(len(targets(edit)) for edit in self.repair.edits)


# Repairs of one set are applied in this order, whichever was accepted first: a copy of a matrix must see it repaired.
_ORDER: dict[type, int] = {Reorder: 0, Shift: 0, FromReference: 1, Copy: 2, SetEps: 3, SkipBlock: 3}


def targets(edit: Edit) -> tuple[str, ...]:
    """What an edit changes: tensor names, or the one thing that is no tensor."""
    match edit:
        case Copy(target, _):
            return (target,)
        case FromReference(names) | Reorder(names, _) | Shift(names, _):
            return names
        case SetEps():
            return ("eps",)
        case SkipBlock(index):
            return (f"block {index}",)


def combined(candidates: Iterable[Candidate]) -> tuple[Edit, ...]:
    """The edits of a set, in the one order that they are applied in."""
    edits = [edit for candidate in candidates for edit in candidate.repair.edits]
    return tuple(sorted(edits, key=lambda edit: (_ORDER[type(edit)], targets(edit))))


def conflict(a: Candidate, b: Candidate) -> bool:
    """Two edits of one kind on one tensor undo each other or count twice: such a pair is never tried."""
    return any(type(x) is type(y) and set(targets(x)) & set(targets(y)) for x in a.repair.edits for y in b.repair.edits)


class Search:
    """Grows and prunes sets of repairs for one checkpoint on one window.

    Every decision is made on the full window; screening on a subset only decides what is worth evaluating in full.
    """

    def __init__(
        self, losses: Losses, pool: Sequence[Candidate], chance_nats: float, say: Callable[[str], None]
    ) -> None:
        self.evaluator, self.pool, self.chance, self.say = losses, tuple(pool), chance_nats, say
        n = losses.sequences
        size = min(n, max(int(SCREEN_SEQUENCES.value), n // 8))
        self.subset = tuple(int(i) for i in np.linspace(0, n - 1, size).round())

    def full(self, candidates: Iterable[Candidate]) -> np.ndarray:
        """Per-sequence losses with a set applied, over the whole window."""
        return self.evaluator.losses(combined(candidates))

    def screen(self, base: Sequence[Candidate], candidate: Candidate) -> Screened:
        """How a candidate does on top of `base` on the screening subset, or on half of it if it is hopeless there."""
        here, edits = self.full(base), combined([*base, candidate])
        half = list(self.subset[::2])
        there = self.evaluator.losses(edits, half)
        hopeless = not np.isfinite(there).all() or here[half].mean() - there.mean() < -HOPELESS_NATS.value
        seen = half if hopeless else list(self.subset)
        there = self.evaluator.losses(edits, seen)
        delta = float(here[seen].mean() - there.mean())
        return Screened(
            name=candidate.repair.name,
            loss_nats=float(there.mean()),
            delta_nats=delta if np.isfinite(delta) else None,
            sequences=len(seen),
            localiser=candidate.repair.localiser,
        )

    def gain(self, before: Iterable[Candidate], after: Iterable[Candidate]) -> Gain:
        """Full-window gain of one set over another."""
        return gain(self.full(before), self.full(after), self.chance)

    def promising(self, base: Sequence[Candidate], pool: Iterable[Candidate], most: Threshold) -> list[Candidate]:
        """Candidates that look as if they helped on top of `base`, at most `most`: signed ones first, then the best."""
        finite = bool(np.isfinite(self.full(base)).all())
        scored = []
        for candidate in pool:
            if candidate in base or any(conflict(candidate, other) for other in base):
                continue
            seen = self.screen(base, candidate)
            helps = seen.delta_nats is not None and seen.delta_nats >= SCREEN_NATS.value
            if helps or (not finite and np.isfinite(seen.loss_nats)):
                scored.append((seen.loss_nats, candidate))
        scored.sort(key=lambda pair: (not pair[1].signed, pair[0], pair[1].cost))
        return [candidate for _, candidate in scored[: int(most.value)]]

    def best_of(self, base: Sequence[Candidate], options: Iterable[Candidate]) -> Candidate | None:
        """The material option with the lowest loss on top of `base`; one that a signature backs goes first, because
        behind a defect that is still there others lower the loss by accident. Of what cures the same loss within
        noise the most specific is taken, and of equally specific ones the first that its hypothesis names."""
        material = [c for c in options if self.gain(base, [*base, c]).material]
        if not material:
            return None
        signed = [c for c in material if c.signed]
        lowest = min(signed or material, key=lambda c: float(self.full([*base, c]).mean()))
        level = [c for c in material if self._level([*base, c], [*base, lowest])]
        return min(level, key=lambda c: (*c.cost, self.pool.index(c)))

    def _level(self, one: Sequence[Candidate], other: Sequence[Candidate]) -> bool:
        """Whether two sets reach the same loss within noise."""
        return not self.gain(one, other).material and not self.gain(other, one).material

    def grow(self, start: Sequence[Candidate] = ()) -> list[Candidate]:
        """Accept the best material repair on top of what is accepted, until none is."""
        accepted = list(start)
        while len(accepted) < JOINT_SIZE.value:
            names = " + ".join(c.repair.name for c in accepted) or "the checkpoint as loaded"
            self.say(f"Testing every repair on top of {names}")
            found = self.best_of(accepted, self.promising(accepted, self.pool, FULL_PER_ROUND))
            if found is None:
                break
            accepted.append(found)
        return accepted

    def prune(self, accepted: Sequence[Candidate]) -> list[Candidate]:
        """Take out, least useful first, whatever can be taken out without a material loss."""
        kept = list(accepted)
        while kept:
            without = {c: [other for other in kept if other is not c] for c in kept}
            idle = [c for c in kept if not self.gain(without[c], kept).material]
            if not idle:
                break
            kept = without[min(idle, key=lambda c: float(np.nan_to_num(self.full(without[c]).mean(), nan=np.inf)))]
        return kept

    def joint(self, good_enough: Callable[[Sequence[Candidate]], bool]) -> list[Candidate]:
        """The best pruned set. Restarts behind masks only while what was found is not good enough."""
        best = self.prune(self.grow())
        for start in self._starts() if not good_enough(best) else ():
            if any(c in best for c in start):
                continue
            other = self.prune(self.grow(start))
            if other and self.gain(best, other).material:
                best = other
            if good_enough(best):
                break
        return best

    def _starts(self) -> list[tuple[Candidate, ...]]:
        """Repairs worth a second start: those a signature backs, then the least bad of each hypothesis."""
        signed = [c for c in self.pool if c.signed]
        rest = []
        for name in dict.fromkeys(c.hypothesis for c in self.pool):
            screened = [(self.screen([], c).loss_nats, c) for c in self.pool if c.hypothesis == name]
            finite = [pair for pair in screened if np.isfinite(pair[0])]
            if finite:
                rest.append(min(finite, key=lambda pair: pair[0])[1])
        ordered = sorted(signed, key=lambda c: (c.cost[0], -c.cost[1])) + [c for c in rest if c not in signed]
        return [(c,) for c in ordered[: int(STARTS.value)]]

    def attribution(self, joint: Sequence[Candidate]) -> dict[str, float | None]:
        """Nats that each hypothesis of the set is worth: its Shapley value, so that they add up to the whole gain.

        Exact; costs 2^k full evaluations for k hypotheses, most of them known already. Null where a subset's loss is
        not finite, since a difference from it has no value.
        """
        ids = list(dict.fromkeys(c.hypothesis for c in joint))

        def value(chosen: tuple[str, ...]) -> float:
            return -float(self.full([c for c in joint if c.hypothesis in chosen]).mean())

        worth: dict[str, float | None] = {}
        for one in ids:
            others = [i for i in ids if i != one]
            total = 0.0
            for size in range(len(others) + 1):
                weight = factorial(size) * factorial(len(ids) - size - 1) / factorial(len(ids))
                for chosen in combinations(others, size):
                    total += weight * (value((*chosen, one)) - value(chosen))
            worth[one] = total if np.isfinite(total) else None
        return worth
