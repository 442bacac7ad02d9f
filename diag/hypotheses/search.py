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

from diag.checkpoints.compare.groups import Difference
from diag.hypotheses.base import Repair
from diag.hypotheses.gain import Gain, gain
from diag.model.edits.base import Edit, Provenance
from diag.results.finding import Screened
from diag.results.threshold import Threshold
from diag.results.thresholds import (
    FULL_PER_ROUND,
    HOPELESS_NATS,
    JOINT_SIZE,
    SCREEN_NATS,
    SCREEN_SEQUENCES,
    STARTS,
)


class Losses(Protocol):
    """What evaluates edits: per-sequence losses [n] in nats (`diag.model.evaluate.Evaluator`).

    What was evaluated is remembered, so asking again is free, and so is `losses_by_position` [n, buckets].
    `losses_many` takes every set of a round at once. known: whether a set has been evaluated on the whole window.
    forward_passes: so far, of one sequence each.
    """

    sequences: int
    forward_passes: int

    def losses(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray: ...

    def losses_by_position(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray: ...

    def losses_many(self, sets: Sequence[Sequence[Edit]], subset: Sequence[int] | None = None) -> list[np.ndarray]: ...

    def known(self, edits: Sequence[Edit]) -> bool: ...


@dataclass(frozen=True)
class Candidate:
    """A repair and the hypothesis it belongs to. backed_by_signature: it changes nothing but tensors that carry that
    hypothesis's signature, or that differ from the reference. difference: what it undoes, where it comes from the
    reference."""

    hypothesis: str
    repair: Repair
    backed_by_signature: bool = False
    difference: Difference | None = None

    @property
    def targets(self) -> tuple[tuple[str, ...], ...]:
        """What each of its edits changes."""
        return tuple(edit.targets for edit in self.repair.edits)

    @property
    def names(self) -> frozenset[str]:
        """Every tensor that it changes."""
        return frozenset(name for targets in self.targets for name in targets)

    @property
    def cost(self) -> tuple[Provenance, int]:
        """Less is more specific: how far it reaches for bytes, then how many tensors it touches."""
        return self.repair.provenance, sum(len(edit.targets) for edit in self.repair.edits)


def combined(candidates: Iterable[Candidate]) -> tuple[Edit, ...]:
    """The edits of a set, in the one order that they are applied in."""
    edits = [edit for candidate in candidates for edit in candidate.repair.edits]
    return tuple(sorted(edits, key=lambda edit: (edit.order, edit.targets)))


def conflict(a: Candidate, b: Candidate) -> bool:
    """Two edits of one kind on one tensor undo each other or count twice: such a pair is never tried."""
    return any(type(x) is type(y) and set(x.targets) & set(y.targets) for x in a.repair.edits for y in b.repair.edits)


class Search:
    """Grows and prunes sets of repairs for one checkpoint on one window.

    Every decision is made on the full window; screening on a subset only decides what is worth evaluating in full.
    Each list of sets is asked for at once, before anything is decided about any of them. floor: nats that a repair
    must gain to be accepted, unless a signature backs it.
    """

    floor = 0.0

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

    def ask(self, sets: Iterable[Sequence[Candidate]]) -> None:
        """Evaluate sets over the whole window, all in one round; `full` then gives them from memory."""
        self.evaluator.losses_many([combined(candidates) for candidates in sets])

    def screen(self, base: Sequence[Candidate], candidates: Sequence[Candidate]) -> list[Screened]:
        """How each candidate does on top of `base` on the screening subset, or on half of it if it is hopeless there.
        Two rounds: everyone on half of the subset, then the rest of the subset for those that are not hopeless."""
        here, sets = self.full(base), [combined([*base, c]) for c in candidates]
        half, subset = list(self.subset[::2]), list(self.subset)
        there = self.evaluator.losses_many(sets, half)
        good = [i for i, losses in enumerate(there) if not _hopeless(here[half], losses)]
        for i, losses in zip(good, self.evaluator.losses_many([sets[i] for i in good], subset), strict=True):
            there[i] = losses
        return [
            _screened(c, here[subset if i in good else half], losses)
            for i, (c, losses) in enumerate(zip(candidates, there, strict=True))
        ]

    def gain(self, before: Iterable[Candidate], after: Iterable[Candidate]) -> Gain:
        """Full-window gain of one set over another."""
        return gain(self.full(before), self.full(after), self.chance)

    def promising(self, base: Sequence[Candidate], pool: Iterable[Candidate], most: Threshold) -> list[Candidate]:
        """Candidates that look as if they helped on top of `base`, at most `most`: those that a signature backs first,
        then the best."""
        finite = bool(np.isfinite(self.full(base)).all())
        free = [c for c in pool if c not in base and not any(conflict(c, other) for other in base)]
        scored = []
        for candidate, seen in zip(free, self.screen(base, free), strict=True):
            helps = seen.delta_nats is not None and seen.delta_nats >= SCREEN_NATS.value
            if helps or (not finite and np.isfinite(seen.loss_nats)):
                scored.append((seen.loss_nats, candidate))
        scored.sort(key=lambda pair: (not pair[1].backed_by_signature, pair[0], pair[1].cost))
        return [candidate for _, candidate in scored[: int(most.value)]]

    def best_of(self, base: Sequence[Candidate], options: Sequence[Candidate]) -> Candidate | None:
        """The material option with the lowest loss on top of `base`; one that a signature backs goes first, because
        behind a defect that is still there others lower the loss by accident. Of what cures the same loss within
        noise the most specific is taken, and of equally specific ones the first that its hypothesis names; of a sweep
        over the same tensors the value with the lowest loss, which is its optimum, of published values where there are
        any."""
        self.ask([*base, c] for c in options)
        material = [c for c in options if self._acceptable(c, self.gain(base, [*base, c]))]
        if not material:
            return None
        backed = [c for c in material if c.backed_by_signature]
        lowest = min(backed or material, key=lambda c: float(self.full([*base, c]).mean()))
        level = [c for c in material if self._level([*base, c], [*base, lowest])]
        first = min(level, key=lambda c: (*c.cost, self.pool.index(c)))
        swept = [c for c in level if c.repair.sweep and c.targets == first.targets and c.hypothesis == first.hypothesis]
        if not first.repair.sweep:
            return first
        return min(swept, key=lambda c: (not c.repair.published, float(self.full([*base, c]).mean())))

    def _acceptable(self, c: Candidate, over: Gain) -> bool:
        enough = c.backed_by_signature or over.delta is None or over.delta >= self.floor
        return over.material and enough

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
            self.ask(without.values())
            idle = [c for c in kept if not self.gain(without[c], kept).material]
            if not idle:
                break
            kept = without[min(idle, key=lambda c: float(np.nan_to_num(self.full(without[c]).mean(), nan=np.inf)))]
        return kept

    def joint(
        self, good_enough: Callable[[Sequence[Candidate]], bool], start: Sequence[Candidate] = ()
    ) -> list[Candidate]:
        """The best pruned set, grown from `start`. Restarts behind masks only while what was found is not good
        enough."""
        best = self.prune(self.grow(start))
        for again in self._starts() if not good_enough(best) else ():
            if any(c in best for c in again):
                continue
            other = self.prune(self.grow(again))
            if other and self.gain(best, other).material:
                best = other
            if good_enough(best):
                break
        return best

    def _starts(self) -> list[tuple[Candidate, ...]]:
        """Repairs worth a second start: those a signature backs, then the least bad of each hypothesis that
        is no value of a sweep."""
        backed = [c for c in self.pool if c.backed_by_signature]
        losses = {c: seen.loss_nats for c, seen in zip(self.pool, self.screen([], self.pool), strict=True)}
        rest = []
        for name in dict.fromkeys(c.hypothesis for c in self.pool):
            mine = (c for c in self.pool if c.hypothesis == name and not c.repair.sweep)
            finite = [c for c in mine if np.isfinite(losses[c])]
            if finite:
                rest.append(min(finite, key=lambda c: losses[c]))
        ordered = sorted(backed, key=lambda c: (c.cost[0], -c.cost[1])) + [c for c in rest if c not in backed]
        return [(c,) for c in ordered[: int(STARTS.value)]]

    def attribution(self, joint: Sequence[Candidate]) -> dict[str, float | None]:
        """Nats that each hypothesis of the set is worth: its Shapley value, so that they add up to the whole gain.
        Null where a subset's loss is not finite, since a difference from it has no value. Costs what `shares` does."""
        return {id: _finite(float(values.mean())) for id, values in self.shares(joint).items()}

    def attribution_stderr(self, joint: Sequence[Candidate]) -> dict[str, float | None]:
        """The standard error of each over the sequences, which are paired; null for one sequence, or a null value."""
        shares = self.shares(joint).items()
        return {id: _finite(stderr(values)) if len(values) > 1 else None for id, values in shares}

    def shares(self, joint: Sequence[Candidate]) -> dict[str, np.ndarray]:
        """The Shapley value of each hypothesis of the set on every sequence, nats [n].

        Exact; costs 2^k full evaluations for k hypotheses, most of them known already.
        """
        ids = list(dict.fromkeys(c.hypothesis for c in joint))

        def members(chosen: tuple[str, ...]) -> list[Candidate]:
            return [c for c in joint if c.hypothesis in chosen]

        self.ask(members(chosen) for size in range(len(ids) + 1) for chosen in combinations(ids, size))

        worth: dict[str, np.ndarray] = {}
        for one in ids:
            others = [i for i in ids if i != one]
            total = np.zeros(self.evaluator.sequences)
            for size in range(len(others) + 1):
                weight = factorial(size) * factorial(len(ids) - size - 1) / factorial(len(ids))
                for chosen in combinations(others, size):
                    with np.errstate(invalid="ignore"):  # ∞ − ∞: no value
                        total += weight * (self.full(members(chosen)) - self.full(members((*chosen, one))))
            worth[one] = total
        return worth


def stderr(losses: np.ndarray) -> float:
    """Standard error of a mean over sequences; 0 for one."""
    return float(losses.std(ddof=1) / np.sqrt(len(losses))) if len(losses) > 1 else 0.0


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _hopeless(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether a candidate does so badly on a part of the window that the rest of it is not worth looking at."""
    return bool(not np.isfinite(after).all() or before.mean() - after.mean() < -HOPELESS_NATS.value)


def _screened(candidate: Candidate, before: np.ndarray, after: np.ndarray) -> Screened:
    delta = float(before.mean() - after.mean())
    return Screened(
        name=candidate.repair.name,
        loss_nats=float(after.mean()),
        delta_nats=delta if np.isfinite(delta) else None,
        sequences=len(after),
        localiser=candidate.repair.localiser,
    )
