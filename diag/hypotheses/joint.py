"""Which repairs explain the loss: differences with a twin, repairs that help without, both with a relative."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diag.hypotheses.bisect import bisected
from diag.hypotheses.gain import gain
from diag.hypotheses.minimal import PutBack
from diag.hypotheses.search import Candidate, combined, conflict
from diag.hypotheses.state import State
from diag.hypotheses.verdict import Trial
from diag.model.edits.base import Provenance
from diag.results.thresholds import ACCIDENT_BESIDE, LEFT_SHARE, SCREEN_NATS


def joint_set(state: State) -> list[Candidate]:
    """The smallest set of repairs that explains the loss, as far as it can be explained; empty where nothing does."""
    if state.setup.twin:
        return _from_differences(state) if state.exceeds() else []
    start = _from_differences(state) if state.setup.vouches else []
    found = state.search.joint(lambda chosen: _good_enough(state, chosen), start)
    return _credible(state, _with_part(state, _own_instead(state, found)))


def _own_instead(state: State, joint: list[Candidate]) -> list[Candidate]:
    """The set with the file's own bytes in place of the reference's, where a signature backs such a repair of the same
    tensors: it explains the loss with less, and what the reference's are better by may be its training."""
    own = [c for c in state.search.pool if c.backed_by_signature and c.repair.provenance < Provenance.REFERENCE]
    for c in [c for c in joint if c.repair.provenance == Provenance.REFERENCE]:
        rest = [other for other in joint if other is not c]
        for instead in sorted(own, key=lambda o: o.cost):
            if instead.names != c.names or any(conflict(instead, other) for other in rest):
                continue
            better_by = state.gain([*rest, instead], joint).delta
            if better_by is not None and better_by <= _allowed(state):
                joint = [*rest, instead]
                break
    return joint


def _with_part(state: State, joint: list[Candidate]) -> list[Candidate]:
    """The set with a part of a kind: instead of the kind as a whole, or on top of what is accepted. What gains too
    little to be accepted is kept among the candidates: it says where something is wrong."""
    pool = [c for c in state.search.pool if c in joint or not any(conflict(c, other) for other in joint)]
    part = bisected(state.search, joint, [c for c in pool if c.repair.parts])
    if part is None:
        return joint
    state.candidates.append(part)
    if part.repair.telling < np.inf:
        return joint
    state.search.pool = (*state.search.pool, part)
    return state.search.prune([*(c for c in joint if not conflict(c, part)), part])


def _from_differences(state: State) -> list[Candidate]:
    """The differences that cost something: all are undone, then put back group by group."""
    pool = [c for c in state.candidates if c.difference is not None]
    if not pool or not state.search.gain([], pool).material:
        return []
    state.tell(f"Putting {len(pool)} differences from the reference back, group by group")

    def ask(sets: Sequence[tuple[Candidate, ...]]) -> list[np.ndarray]:
        return state.setup.evaluator.losses_many([combined(chosen) for chosen in sets])

    put_back = PutBack(
        pool, ask, state.setup.ruler.chance_nats, lambda c: c.difference and c.difference.pattern, _allowed(state)
    )
    kept = _with_alike(put_back, list(put_back.run().kept), pool)
    for c in kept:
        assert c.difference is not None
        state.worth[c.difference] = put_back.harm({k for k in kept if k is not c})
    return kept


def _allowed(state: State) -> float:
    """What may be left of the excess over the reference where it is explained, in nats."""
    excess, found = state.excess(), state.setup.reference
    tolerance = (found.tolerance_nats if found else None) or 0.0
    return max(tolerance, LEFT_SHARE.value * (excess.delta or 0.0) if excess else 0.0)


def _with_alike(put_back: PutBack[Candidate], kept: list[Candidate], pool: Sequence[Candidate]) -> list[Candidate]:
    """The set with what is of the pattern and hypothesis of a member and brings the loss nearer to the reference's: of
    biases that are all zero some lower it by accident if they stay so, and the repaired checkpoint is not the twin."""
    kinds = {(c.hypothesis, c.difference and c.difference.pattern) for c in kept}
    alike = [c for c in pool if c not in kept and (c.hypothesis, c.difference and c.difference.pattern) in kinds]
    left = put_back.harm(set(kept)).delta or 0.0
    for c in alike:
        if abs(left) < SCREEN_NATS.value:
            break
        beside = put_back.harm({*kept, c}).delta
        if beside is not None and abs(beside) < abs(left):
            kept, left = [*kept, c], beside
    return [c for c in pool if c in kept]


def _good_enough(state: State, joint: Sequence[Candidate]) -> bool:
    """Nothing material is left to find: the loss is the reference's or the promised one, or below the border."""
    losses = state.search.full(joint)
    if not np.isfinite(losses).all():
        return False
    theirs, expected = state.setup.reference_losses, state.setup.expected
    if theirs is not None and not gain(losses, theirs, state.setup.ruler.chance_nats).material:
        return True
    if expected is not None and float(losses.mean()) <= expected:
        return True
    return state.below(losses)


def _credible(state: State, joint: list[Candidate]) -> list[Candidate]:
    """Drop accidents: while what remains is hopeless anything lowers it a little, and on a sound model some repair
    always gains something. What a signature or a reference backs stays; the rest must be beyond accident."""
    kept = list(joint)
    while kept:
        below = state.below(state.search.full(kept))
        weak = [c for c in kept if not _may_stay(state, c, kept, below)]
        if not weak:
            return kept
        kept = state.search.prune([c for c in kept if c not in weak])
    return kept


def _may_stay(state: State, c: Candidate, joint: Sequence[Candidate], below: bool) -> bool:
    if c.backed_by_signature:
        return True
    over = state.removal(joint, [c])
    # While something is known to be missing elsewhere, what else helps may only make up for it.
    enough = not state.certain or (over.delta or 0.0) >= ACCIDENT_BESIDE.value
    return below and enough and Trial(removal=over, least=c.repair.least, edge=c.repair.edge).beyond_accident
