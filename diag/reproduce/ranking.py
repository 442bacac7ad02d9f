"""Which sets of injected defects come nearest to a claim, with few passes over the window.

Every defect alone is measured on the window, or on 2,048 tokens of a larger one; every pair on 64 tokens, which
together tell what it has on the window (telling.py); the nearest on 256; then the window, the most promising first,
until a set gives the claim to its last digit. Pure functions of losses, so the same sets are kept in every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, Protocol

import numpy as np

from diag.reproduce.base import Injection, fits, rarity, unit
from diag.reproduce.injector import Part, Set
from diag.reproduce.telling import Line, told
from diag.results.thresholds import (
    INJECTED_BUDGET,
    INJECTED_DIGIT,
    INJECTED_DRAWN,
    INJECTED_GUIDES,
    INJECTED_KEPT,
    INJECTED_NOTHING,
    INJECTED_QUICK,
    INJECTED_ROUNDING,
    INJECTED_WINDOW,
    MATERIAL_SE,
    REPRODUCES_NATS,
)

AROUND = 0.5  # nats on either side of a claim in which sets are counted, to say how many fit by accident
_STEPS = (Part(4, 16), Part(8, 32), Part(16, 128))  # the beginnings that sets are measured on, one after the other
_SPREAD = 0.2  # nats, beside what a set spreads: gaps of sets that are told well are not over-rated
_CHUNK = 256  # sets asked for at once, so that progress is seen
_EXACT = 16  # sets that are measured exactly, of which ten are named
_BATCH = 16  # sets on the window between two looks at whether to go on
_BATCH_LARGE = 4  # the same where the window is large


class Losses(Protocol):
    """What injects: `diag.reproduce.injector.Injector`."""

    @property
    def whole(self) -> Part: ...

    def tokens(self, sets: Sequence[Set], part: Part) -> list[np.ndarray]: ...


class Aim(NamedTuple):
    """A claim, nats, and half a unit of the last digit that it was given with."""

    nats: float
    width: float

    @property
    def known(self) -> float:
        """Within which it is known, beside the rounding of two programs."""
        return max(self.width, INJECTED_ROUNDING.value)


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
        return _gap(self.nats, claim)

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


def rank(
    model: Losses,
    quick: Losses,
    injections: Sequence[Injection],
    aim: Aim,
    tell: Callable[[float, str], None],
) -> Ranked:
    """All defects alone and in pairs against a claim.

    quick: the same model, less exact and faster; the model itself where there is none. Cost: every defect on 2,048
    tokens and every pair on 64, then at most 150,000 tokens on parts and 600,000 on 2,048 tokens or the window.
    """
    search, claim = _Search(model, quick, aim, tell), aim.nats
    inert = search.without_effect(injections)
    alive = [each for each in injections if each not in inert]
    pairs: list[Set] = [p for p in combinations(alive, 2) if fits(*p) and not any(each.alone for each in p)]
    pool: list[Set] = [*((each,) for each in alive), *pairs]
    kept = search.narrowed(pool, [(), *((each,) for each in alive if not each.alone)])
    found = [Measured(s, search.reported(s)) for s in search.nearest(kept)]
    found.sort(key=lambda m: (round(m.distance(claim), 9), len(m.injected)))
    known = {m.injected for m in found}
    others = [_gap(search.guess[s], claim) for s in pool if s in search.guess and s not in known]
    noise = float(np.nanmedian([m.stderr for m in found])) if model.whole.sequences > 1 else 0.0
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


def ladder(whole: Part) -> list[Part]:
    """Beginnings of more and more sequences, then all of the window. Few tokens of many sequences tell more than many
    of one: what a sequence is about is hard or easy for all that is broken."""
    found = []
    for step in _STEPS:
        sequences = min(whole.sequences, step.sequences)
        found.append(Part(sequences, min(whole.positions, step.tokens // sequences)))
    return [*(part for part in dict.fromkeys(found) if 2 * part.tokens <= whole.tokens), whole]


def listed(found: Sequence[Measured], aim: Aim, most: int) -> tuple[list[Measured], int]:
    """(at most `most` sets, closest first; how many give the claim to its last digit). Those that do come in before
    others, the likelier first; then one random tensor that another draw may bring to the claim; then the closest."""
    claim, near = aim.nats, [m for m in found if math.isfinite(m.nats)]
    exact = [m for m in near if m.distance(claim) <= aim.known]
    drawn = [m for m in near if len(m.injected) == 1 and m.injected[0].drawn]
    drawn = [m for m in drawn if m.distance(claim) <= INJECTED_DRAWN.value]
    order = [*sorted(exact, key=lambda m: rarity(m.injected)), *drawn, *near]
    chosen = list({id(m): m for m in order}.values())[:most]
    return sorted(chosen, key=lambda m: (round(m.distance(claim), 9), rarity(m.injected))), len(exact)


def _gap(nats: float, claim: float) -> float:
    return abs(nats - claim) if math.isfinite(nats) else math.inf


class _Search:
    """guess: what each set is thought to report on the whole window, nats."""

    def __init__(self, model: Losses, quick: Losses, aim: Aim, tell: Callable[[float, str], None]) -> None:
        self.model, self.quick, self.aim, self.claim, self.tell = model, quick, aim, aim.nats, tell
        self.parts = ladder(model.whole)
        self.main = next(p for p in reversed(self.parts) if p.tokens < INJECTED_WINDOW.value or p == self.parts[0])
        self.small = self.parts[min(1, len(self.parts) - 1)]
        self.guess: dict[Set, float] = {}
        self.line = Line()

    def without_effect(self, injections: Sequence[Injection]) -> set[Injection]:
        """Those that change the loss of no sequence."""
        singles: list[Set] = [(), *((each,) for each in injections)]
        self._ask(self.model, singles, self.small, (0.0, 0.05), f"Injecting {len(injections)} defects, each alone")
        return {s[0] for s in singles[1:] if s[0].unit == 1.0 and self._same(s, ())}

    def narrowed(self, pool: Sequence[Set], members: Sequence[Set]) -> list[Set]:
        """The sets that the parts of the window find nearest to the claim, nearest first."""
        text = f"Injecting each defect alone, on {self.main.tokens:,} tokens"
        self._ask(self.quick, members, self.main, (0.05, 0.2), text)
        if self.main != self.model.whole:
            alone = sorted(members, key=lambda s: _gap(self._mean(s, self.main), self.claim))
            guides = [(), *(s for s in alone if s)][: int(INJECTED_GUIDES.value)]
            self._ask(self.quick, guides, self.model.whole, (0.25, 0.05), "Injecting some on the whole window")
            self.line = Line([(self._mean(s, self.main), self._mean(s, self.model.whole)) for s in guides], self.claim)
        kept, known = list(pool), set(members)
        for i, part in enumerate(self.parts[: self.parts.index(self.main)]):
            text = f"Injecting {len(kept):,} sets of defects, on {part.tokens:,} tokens"
            self._ask(self.quick, [*members, *kept], part, (0.3 + 0.2 * i, 0.2), text)
            far = {s: self._look(s, part, known) for s in kept}
            larger = self.parts[i + 1]
            kept = sorted(kept, key=far.__getitem__)[: self._most(larger)]
        return kept

    def nearest(self, kept: Sequence[Set]) -> list[Set]:
        """Those of `kept`, nearest first, that are nearest on the whole window, measured there exactly; without pairs
        of which one is hidden behind the other."""
        if self.main == self.model.whole:
            seen = self._until_found(kept, self.quick, _BATCH, _EXACT)
        else:
            text = f"Measuring {len(kept):,} sets on {self.main.tokens:,} tokens"
            self._ask(self.quick, kept, self.main, (0.7, 0.1), text)
            self.guess |= {s: self.line(self._mean(s, self.main)) * unit(s) for s in kept}
            kept = sorted(kept, key=lambda s: (self._beyond(s), rarity(s)))[: int(INJECTED_KEPT.value)]
            seen = self._until_found(kept, self.model, _BATCH_LARGE, INJECTED_KEPT.value / 2)
        seen.sort(key=lambda s: (self._beyond(s), rarity(s)))
        best = seen[:_EXACT]
        self._ask(self.model, best, self.model.whole, (0.9, 0.08), "Measuring the nearest on the whole window")
        self._ask(self.model, best, self.small, (0.98, 0.02), "Looking for defects that hide")
        return [s for s in best if len(s) == 1 or not self._adds_nothing(s)]

    def _until_found(self, kept: Sequence[Set], model: Losses, batch: int, least: float) -> list[Set]:
        """Measure on the whole window in turn, until one gives the claim to its last digit and `least` are done. Where
        the claim has few digits, many do by accident: then all are measured."""
        found, done = False, 0
        telling = self.aim.width <= INJECTED_DIGIT.value and self.main != self.parts[0]
        for some in _batches(kept, batch):
            text = f"Measuring the nearest on the window, {done} of {len(kept)} at most"
            self._ask(model, some, model.whole, (0.7 + 0.2 * done / len(kept), 0.0), text)
            done += len(some)
            if model is self.quick:
                self.guess |= {s: self._mean(s, model.whole) * unit(s) for s in some}
            near = [s for s in some if model is self.model or _gap(self.guess[s], self.claim) <= INJECTED_QUICK.value]
            self._ask(self.model, near, model.whole, (0.7 + 0.2 * done / len(kept), 0.0), text)
            self.guess |= {s: float(self.reported(s).mean()) for s in near}
            found |= any(_gap(self.guess[s], self.claim) <= self.aim.known for s in near)
            if found and done >= least and telling:
                break
        return list(kept[:done])

    def reported(self, injected: Set) -> np.ndarray:
        """[sequences]: what the program with these defects prints on the whole window."""
        found: np.ndarray = self.model.tokens([injected], self.model.whole)[0].mean(1, dtype=np.float64)
        return found * unit(injected)

    def _most(self, part: Part) -> int:
        """How many sets are measured on a part after the first."""
        budget = INJECTED_BUDGET.value * (4 if part == self.main else 1)
        return max(int(INJECTED_KEPT.value), int(budget) // part.tokens)

    def _look(self, injected: Set, part: Part, known: set[Set]) -> float:
        """How far a set is from the claim, in its own spreads, by a part. Keeps what it is thought to report."""
        here = self.quick.tokens([injected], part)[0]
        alone: list[Set] = [(), *(s for each in injected if (s := (each,)) in known)]
        small, large = (self.quick.tokens(alone, p) for p in (part, self.main))
        nats, spread = told(here, list(zip(small, large, strict=True)))
        self.guess[injected] = self.line(nats) * unit(injected)
        return self._beyond(injected) / ((spread + _SPREAD) * unit(injected))

    def _beyond(self, injected: Set) -> float:
        """How far a set is thought to be from what the digits of the claim leave open, nats."""
        return max(0.0, _gap(self.guess[injected], self.claim) - self.aim.width)

    def _mean(self, injected: Set, part: Part) -> float:
        return float(self.quick.tokens([injected], part)[0].mean(dtype=np.float64))

    def _same(self, one: Set, other: Set) -> bool:
        """Whether two sets give the same loss on every sequence of a small part."""
        a, b = (x.mean(1, dtype=np.float64) for x in self.model.tokens([one, other], self.small))
        return bool(np.allclose(a, b, rtol=0, atol=INJECTED_NOTHING.value, equal_nan=True))

    def _adds_nothing(self, pair: Set) -> bool:
        """Whether a pair gives what one of the two gives alone: the other cannot be seen behind it."""
        return any(other.unit == 1.0 and self._same(pair, (one,)) for one, other in (pair, pair[::-1]))

    def _ask(self, model: Losses, sets: Sequence[Set], part: Part, at: tuple[float, float], text: str) -> None:
        """Measure them on a part. at: where the bar stands before, and how far it goes."""
        wanted = list(dict.fromkeys(sets))
        for first in range(0, len(wanted), _CHUNK):
            self.tell(at[0] + at[1] * first / len(wanted), text)
            model.tokens(wanted[first : first + _CHUNK], part)


def _batches(sets: Sequence[Set], size: int) -> Iterator[Sequence[Set]]:
    return (sets[first : first + size] for first in range(0, len(sets), size))
