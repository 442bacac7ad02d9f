"""Which tensors of one kind a repair is for, where the kind as a whole is not: half of a kind is misread, and no score
tells which half.

Each part alone on the screening subset gives an order; the best prefix of it is searched on the whole window by
halving. What comes out is one value of many that were tried: it must gain what a value of a sweep must, unless the kind
as a whole is accepted already. What gains less says where to look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from diag.hypotheses.base import Repair
from diag.hypotheses.search import Candidate, Search
from diag.results.thresholds import ACCIDENT_NATS, ACCIDENT_SWEEP, SCREEN_NATS


def bisected(search: Search, joint: Sequence[Candidate], pool: Sequence[Candidate]) -> Candidate | None:
    """The best part of a repair of `pool` on top of `joint`; None where no part gains what any repair must. A part of a
    repair in `joint` takes its place: the kind is accepted by then. Any other that gains less than a value of a sweep
    must is telling.

    Cost for n parts: n passes over the screening subset (an eighth of the window, at least 4 sequences), then, only
    where a part helps there, at most 2·log2(n) + 1 over the window.
    """
    found: list[tuple[bool, float, Candidate]] = []
    for whole in pool:
        base = [c for c in joint if c is not whole]
        part = _best_part(search, base, whole) if len(whole.repair.parts) > 1 else None
        if part is None:
            continue
        over = search.gain(joint, [*base, part])
        worth = math.inf if over.delta is None else over.delta
        if over.material and worth >= ACCIDENT_NATS.value:
            little = whole not in joint and worth < ACCIDENT_SWEEP.value
            tells = ACCIDENT_NATS.value if little else math.inf
            repair = replace(part.repair, sweep=whole not in joint, telling=tells)
            found.append((little, float(search.full([*base, part]).mean()), replace(part, repair=repair)))
    return min(found, key=lambda one: one[:2])[2] if found else None


def _best_part(search: Search, joint: Sequence[Candidate], whole: Candidate) -> Candidate | None:
    alone = [_part(whole, (i,)) for i in range(len(whole.repair.parts))]
    seen = search.screen(joint, alone)
    gains = {i: s.delta_nats for i, s in enumerate(seen) if s.delta_nats is not None}
    if max(gains.values(), default=0.0) < SCREEN_NATS.value:
        return None
    ranked = sorted(gains, key=lambda i: -gains[i])

    def loss(size: int) -> float:
        return float(search.full([*joint, _part(whole, ranked[:size])]).mean())

    low, high = 1, len(ranked)  # the loss falls while parts are misread ones, and rises from the first sound one on
    while low < high:
        middle = (low + high) // 2
        if loss(middle + 1) < loss(middle):
            low = middle + 1
        else:
            high = middle
    return _part(whole, ranked[:low])


def _part(whole: Candidate, chosen: Sequence[int]) -> Candidate:
    parts = whole.repair.parts
    names = [parts[i].targets[0] for i in sorted(chosen)]
    repair = Repair(
        name=f"{whole.repair.name}, {len(chosen)} of {len(parts)}",
        edits=tuple(parts[i] for i in sorted(chosen)),
        description=f"{whole.repair.description} Only where it helps: {', '.join(names)}.",
        sweep=True,
    )
    return replace(whole, repair=repair, backed_by_signature=False)
