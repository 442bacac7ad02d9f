"""Where a loss that nothing explains comes from: each part of each block counts 0, ½ or 1.5 times, and what that gains.

It says where and never confirms (docs/hypotheses/h4d-residual-stream.md, with what was measured). Damping something
that is wrong helps, and so does damping anything in a model that is hopeless for another reason: a part is named only
where the next block is far behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from diag.hypotheses.base import Localiser
from diag.hypotheses.gain import Gain, gain
from diag.hypotheses.search import Candidate
from diag.hypotheses.state import State
from diag.model.edits.scale_update import ScaleUpdate
from diag.results.finding import Finding, Screened
from diag.results.thresholds import (
    LOCALISED_LEAD,
    LOCALISED_NATS,
    LOCALISED_PARTS,
    LOCALISED_SEQUENCES,
    MATERIAL_SE,
)

DAMPED, RAISED = (0.0, 0.5), 1.5
WORDS = {0.0: "0", 0.5: "½", 1.5: "1.5"}


@dataclass(frozen=True)
class Place:
    """What the localisers of a hypothesis found. sentence: the part that is named, with its numbers; "" for none.
    certain: whether the fault must lie in that block; what enters the first one may be wrong as well. tried: what was
    measured on LOCALISED_SEQUENCES sequences."""

    hypothesis: str
    sentence: str
    certain: bool
    tried: tuple[Screened, ...]


def localise(state: State, findings: Sequence[Finding], joint: Sequence[Candidate]) -> Place | None:
    """The place of the first hypothesis that has localisers and stays open, where nothing was accepted and the loss is
    not trusted. None where nothing is to be looked for.

    Cost: 4 passes a block over the screening subset, then 9 or 12 over LOCALISED_SEQUENCES sequences.
    """
    if joint or state.setup.twin or not np.isfinite(state.base).all() or state.facts().trusted:
        return None
    open_ones = {f.id for f in findings if f.status == "inconclusive"}
    for h in state.hypotheses:
        if h.id in open_ones and h.localisers is not None:
            state.tell(f"{h.id}: where it could be")
            return _place(state, h.id, h.localisers(state.setup.context))
    return None


def told(findings: Sequence[Finding], place: Place | None) -> list[Finding]:
    """The findings, with what the localisers say in the evidence of their hypothesis."""
    if place is None:
        return list(findings)
    return [_with(one, place) if one.id == place.hypothesis else one for one in findings]


def _with(one: Finding, place: Place) -> Finding:
    detail = f"{one.signature.detail} {place.sentence}".rstrip()
    return replace(one, signature=replace(one.signature, detail=detail), screened=(*one.screened, *place.tried))


def _place(state: State, id: str, parts: Sequence[Localiser]) -> Place | None:
    chosen = _promising(state, parts)
    n = state.setup.evaluator.sequences
    wide = [int(i) for i in np.linspace(0, n - 1, min(n, int(LOCALISED_SEQUENCES.value))).round()]
    before = state.base[wide]
    sets = {(part, factor): (_edit(part, factor),) for part in chosen for factor in (*DAMPED, RAISED)}
    losses = dict(zip(sets, state.setup.evaluator.losses_many(list(sets.values()), wide), strict=True))
    over = {key: gain(before, there, state.search.chance) for key, there in losses.items()}
    tried = tuple(
        Screened(_name(*key), float(losses[key].mean()), over[key].delta, len(wide), localiser=True) for key in sets
    )
    damped = sorted((key for key in sets if key[1] != RAISED), key=lambda key: float(losses[key].mean()))
    best = damped[0]
    next_one = next((key for key in damped if key[0].index != best[0].index), None)
    lead = gain(losses[next_one], losses[best], state.search.chance) if next_one else over[best]
    if not _stands_out(over[best], lead, over[next_one] if next_one else None, over[best[0], RAISED]):
        return Place(id, "", False, tried)
    return Place(id, _sentence(best[0], over, len(wide)), best[0].index > 0, tried)


def _promising(state: State, parts: Sequence[Localiser]) -> list[Localiser]:
    """The parts whose damping does best on the screening subset, two blocks at least among them."""
    keys = [(part, factor) for part in parts for factor in DAMPED]
    sets = [(_edit(*key),) for key in keys]
    losses = state.setup.evaluator.losses_many(sets, state.search.subset)
    best: dict[Localiser, float] = {}
    for (part, _), there in zip(keys, losses, strict=True):
        mean = float(there.mean()) if np.isfinite(there).all() else np.inf
        best[part] = min(best.get(part, np.inf), mean)
    ranked = sorted(parts, key=lambda part: best[part])
    chosen = ranked[: int(LOCALISED_PARTS.value)]
    if len({part.index for part in chosen}) == 1:
        chosen += [part for part in ranked if part.index != chosen[0].index][:1]
    return chosen


def _stands_out(best: Gain, lead: Gain, next_one: Gain | None, raised: Gain) -> bool:
    """Whether damping helps, raising does not help as much, and the next block is far behind."""
    if best.delta is None or best.stderr is None or lead.delta is None or lead.stderr is None:
        return False
    helps = best.delta >= LOCALISED_NATS.value and best.delta > MATERIAL_SE.value * best.stderr
    leads = lead.delta > MATERIAL_SE.value * lead.stderr
    second = max((next_one.delta if next_one else None) or 0.0, raised.delta or 0.0)
    return helps and leads and best.delta >= LOCALISED_LEAD.value * second


def _sentence(part: Localiser, over: dict[tuple[Localiser, float], Gain], sequences: int) -> str:
    gains = ", ".join(f"{WORDS[factor]} times {_shown(over[part, factor])}" for factor in (*DAMPED, RAISED))
    where = f"the {part.words} of block {part.index}," + ("" if part.index else " or what enters it,")
    return (
        f"A localiser points at {where} and cures nothing: counted {gains} nats "
        f"lower (n = {sequences} sequences), and damping no other block gains half as much."
    )


def _shown(over: Gain) -> str:
    if over.delta is None or over.stderr is None:
        return "(not finite)"
    return f"{over.delta:+.3f} ± {over.stderr:.3f}"


def _edit(part: Localiser, factor: float) -> ScaleUpdate:
    return ScaleUpdate(part.index, part.module, factor)


def _name(part: Localiser, factor: float) -> str:
    return f"block {part.index}'s {part.words} × {WORDS[factor]}"
