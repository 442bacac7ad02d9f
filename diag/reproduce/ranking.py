"""Which sets of injected defects come nearest to a claim, with few passes over the window.

Every defect and every pair is screened on a few tokens; what lies near the claim is measured on more of them, and the
nearest on the whole window. How a part of the window tells the whole is read off defects that are known on both: hard
tokens are hard for most broken models. Pure functions of losses, so the same sets are kept in every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Protocol

import numpy as np

from diag.reproduce.base import Injection, fits, unit
from diag.reproduce.injector import Part, Set
from diag.results.thresholds import (
    INJECTED_BUDGET,
    INJECTED_GUIDES,
    INJECTED_KEPT,
    INJECTED_NOTHING,
    INJECTED_POSITIONS,
    INJECTED_SEQUENCES,
    INJECTED_STEPS,
    MATERIAL_SE,
    REPRODUCES_NATS,
)

AROUND = 0.5  # nats on either side of a claim in which sets are counted, to say how many fit by accident
_SHARED = 0.5  # of what a defect alone departs from the line, what a pair with it does: the best of 0, 0.3, 0.5, 1
_CHUNK = 256  # sets asked for at once, so that progress is seen


class Losses(Protocol):
    """What injects: `diag.reproduce.injector.Injector`."""

    @property
    def whole(self) -> Part: ...

    def losses(self, sets: Sequence[Set], part: Part) -> list[np.ndarray]: ...


@dataclass(frozen=True, eq=False)
class Measured:
    """A set on the whole window. losses: [sequences], what the program would report."""

    injected: Set
    losses: np.ndarray

    @property
    def nats(self) -> float:
        """Their mean."""
        return float(self.losses.mean())

    @property
    def stderr(self) -> float:
        """Of the mean; NaN on one sequence."""
        n = len(self.losses)
        return float(self.losses.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan

    def distance(self, claim: float) -> float:
        """From a claim; infinite where the loss is not finite."""
        return abs(self.nats - claim) if math.isfinite(self.nats) else math.inf

    def matches(self, claim: float) -> bool:
        """Whether the claim is this loss within its noise."""
        noise = MATERIAL_SE.value * self.stderr if math.isfinite(self.stderr) else 0.0
        return self.distance(claim) <= max(noise, REPRODUCES_NATS.value)


@dataclass(frozen=True)
class Ranked:
    """nearest: measured on the whole window, closest first. tolerance: nats, by which a set usually matches. fits: sets
    that give the claim; of those that were not measured on the whole window, a part of it says so. around: sets within
    AROUND nats of it."""

    nearest: tuple[Measured, ...]
    singles: int
    pairs: int
    tolerance: float
    fits: int
    around: int
    without_effect: tuple[str, ...]


def rank(model: Losses, injections: Sequence[Injection], claim: float, tell: Callable[[float, str], None]) -> Ranked:
    """All defects alone and in pairs against a claim, nats.

    Cost: 128 tokens for each set, then at most 250,000 tokens for those near the claim on each of 512, 2,048 and all
    tokens of the window (but 24 sets on all of it at least).
    """

    def says(start: float, width: float, text: str) -> Callable[[float], None]:
        return lambda done: tell(start + width * done, text)

    ask, parts = _Asked(model, claim), _parts(model.whole)
    singles: list[Set] = [(), *((each,) for each in injections)]
    text = f"Injecting {len(injections)} defects, each alone"
    ask.measure(singles, parts[min(1, len(parts) - 1)], says(0.0, 0.1, text))
    inert = {s[0] for s in singles[1:] if s[0].unit == 1.0 and ask.same(s, (), parts[min(1, len(parts) - 1)])}
    alive = [each for each in injections if each not in inert]
    pairs: list[Set] = [p for p in combinations(alive, 2) if fits(*p) and not any(each.alone for each in p)]
    pool: list[Set] = [*((each,) for each in alive), *pairs]
    ask.measure([(), *pool], parts[0], says(0.1, 0.4, f"Injecting {len(pairs):,} pairs"))
    kept = pool
    guess: Callable[[Set], float] = lambda injected: ask.mean(injected, parts[0])  # noqa: E731
    for step, (part, larger) in enumerate(pairwise(parts), 1):
        alone = sorted((s for s in pool if len(s) == 1), key=lambda s: _gap(guess(s), claim))
        guides: list[Set] = [(), *(alone if step == 1 else alone[: int(INJECTED_GUIDES.value)])]
        most = max(int(INJECTED_KEPT.value), int(INJECTED_BUDGET.value) // larger.tokens)
        start, text = 0.5 + 0.15 * (step - 1), f"Measuring those near the claim on {larger.tokens:,} tokens"
        ask.measure(guides, larger, says(start, 0.0, text))
        told = ask.told(guides, part, larger)
        if step == 1:
            guess = told
        gaps = {s: _gap(told(s), claim) for s in kept}
        kept = sorted(kept, key=gaps.__getitem__)[:most]
        ask.measure(kept, larger, says(start, 0.15, text))
    part = parts[max(0, len(parts) - 2)]
    ask.measure([(each,) for s in kept for each in s], part, says(0.95, 0.05, "Looking for defects that hide"))
    seen = [s for s in kept if len(s) == 1 or not ask.adds_nothing(s, part)]
    found = [Measured(s, ask.reported(s, model.whole)) for s in seen]
    found.sort(key=lambda m: (round(m.distance(claim), 9), len(m.injected)))
    known = {m.injected for m in found}
    others = [_gap(guess(s), claim) for s in pool if s not in known]
    noise = float(np.nanmedian([m.stderr for m in found])) if len(model.losses([()], model.whole)[0]) > 1 else 0.0
    tolerance = max(MATERIAL_SE.value * noise, REPRODUCES_NATS.value)
    return Ranked(
        nearest=tuple(found),
        singles=len(injections),
        pairs=len(pairs),
        tolerance=tolerance,
        fits=sum(m.matches(claim) for m in found) + sum(gap <= tolerance for gap in others),
        around=sum(gap <= AROUND for gap in [*others, *(m.distance(claim) for m in found)]),
        without_effect=tuple(each.name for each in injections if each in inert),
    )


def _gap(nats: float, claim: float) -> float:
    return abs(nats - claim) if math.isfinite(nats) else math.inf


def _parts(whole: Part) -> list[Part]:
    """Beginnings of more and more sequences, then all of the window. Few tokens of many sequences tell more than many
    of one: what a sequence is about is hard or easy for all that is broken."""
    found = []
    for step in range(int(INJECTED_STEPS.value)):
        positions, sequences = (int(t.value) << step for t in (INJECTED_POSITIONS, INJECTED_SEQUENCES))
        here = min(whole.sequences, sequences)
        found.append(Part(here, min(whole.positions, positions * sequences // here)))
    return [*(part for part in dict.fromkeys(found) if part.tokens < whole.tokens), whole]


class _Asked:
    """Losses that were asked for, by set and part, and what one part says of another."""

    def __init__(self, model: Losses, claim: float) -> None:
        self.model, self.claim = model, claim
        self._known: dict[tuple[Set, Part], np.ndarray] = {}

    def measure(self, sets: Sequence[Set], part: Part, done: Callable[[float], None]) -> None:
        """Whatever of `sets` is not known on a part yet."""
        wanted = [s for s in dict.fromkeys(sets) if (s, part) not in self._known]
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            self._known |= {(s, part): x for s, x in zip(chunk, self.model.losses(chunk, part), strict=True)}
            done((start + len(chunk)) / len(wanted))

    def reported(self, injected: Set, part: Part) -> np.ndarray:
        """[sequences]: what the program with these defects prints."""
        return self._known[injected, part] * unit(injected)

    def mean(self, injected: Set, part: Part) -> float:
        """The mean of what it prints."""
        return float(self.reported(injected, part).mean())

    def same(self, one: Set, other: Set, part: Part) -> bool:
        """Whether two sets give the same loss on every sequence."""
        a, b = self._known[one, part], self._known[other, part]
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=0, atol=INJECTED_NOTHING.value, equal_nan=True))

    def adds_nothing(self, pair: Set, part: Part) -> bool:
        """Whether a pair gives what one of the two gives alone: the other cannot be seen behind it."""
        return any(other.unit == 1.0 and self.same(pair, (one,), part) for one, other in (pair, pair[::-1]))

    def told(self, guides: Sequence[Set], part: Part, larger: Part) -> Callable[[Set], float]:
        """A set's loss on a larger part, from that on a part: by a line through those guides, known on both, that are
        nearest to the claim; and half of what its member that departs most from the line departs alone. A mask or an
        angle costs more the longer the sequence is."""
        if part == larger:
            return lambda injected: self.mean(injected, part)
        slope, offset = self._line(guides, part, larger)

        def on_line(injected: Set) -> float:
            here = float(self._known[injected, part].mean())
            return here + slope * here + offset

        def off(one: Injection) -> float:
            known = self._known.get(((one,), larger))
            found = 0.0 if known is None or ((one,), part) not in self._known else float(known.mean()) - on_line((one,))
            return found if math.isfinite(found) else 0.0

        def guess(injected: Set) -> float:
            beside = max((off(each) for each in injected), key=abs, default=0.0) if len(injected) > 1 else 0.0
            return (on_line(injected) + _SHARED * beside) * unit(injected)

        return guess

    def _line(self, guides: Sequence[Set], part: Part, larger: Part) -> tuple[float, float]:
        """(slope, offset) of what a loss on `larger` is over that on `part`."""
        both = [(float(self._known[s, part].mean()), float(self._known[s, larger].mean())) for s in guides]
        finite = [pair for pair in both if math.isfinite(sum(pair))]
        near = sorted(finite, key=lambda pair: abs(pair[1] - self.claim))[: int(INJECTED_GUIDES.value)]
        x, over = np.array([a for a, _ in near]), np.array([b - a for a, b in near])
        if len(x) < 3 or float(np.ptp(x)) < REPRODUCES_NATS.value:
            return 0.0, float(over.mean()) if len(x) else 0.0
        slope, offset = np.polyfit(x, over, 1)
        return float(slope), float(offset)
