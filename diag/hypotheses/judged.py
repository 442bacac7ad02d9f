"""One hypothesis judged: its repairs measured, alone and on top of the accepted ones, and the words for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from diag.hypotheses.base import Hypothesis
from diag.hypotheses.differences import said
from diag.hypotheses.gain import Gain, share
from diag.hypotheses.search import Candidate, combined
from diag.hypotheses.state import State
from diag.hypotheses.verdict import Outcome, Trial, judge
from diag.results.finding import Finding, RepairResult, Rival, Screened, Signature
from diag.results.thresholds import ACCIDENT_NATS, FULL_ALONE, LISTED_DIFFERENCES, MATERIAL_NATS, MATERIAL_SE


def alone(state: State, h: Hypothesis) -> tuple[list[Candidate], list[Screened]]:
    """Screen every repair of `h` on the loaded checkpoint: (own repairs for the full window, the others)."""
    clock = time.perf_counter()
    state.tell(f"{h.id}: trying its repairs")
    mine = [c for c in state.candidates if c.hypothesis == h.id]
    own = [c for c in mine if not c.repair.localiser]
    if state.setup.twin:  # few, and each is listed with its loss
        return own[: int(LISTED_DIFFERENCES.value)], []
    chosen = state.search.promising([], own, FULL_ALONE)
    others = [c for c in mine if c not in chosen]
    screened = dict(zip(others, state.search.screen([], others), strict=True))
    if not chosen and own:  # nothing helps: the best of them is still evaluated in full, for the record
        chosen = [min(own, key=lambda c: float(np.nan_to_num(screened[c].loss_nats, nan=np.inf)))]
    state.seconds[h.id] += time.perf_counter() - clock
    return chosen, list(screened.values())


def finding(
    state: State,
    h: Hypothesis,
    alone: tuple[list[Candidate], list[Screened]],
    joint: Sequence[Candidate],
    outcome: Outcome,
) -> Finding:
    """The finding on `h`. `alone` is what the function of that name gave for it."""
    clock = time.perf_counter()
    chosen, screened = alone
    members = [c for c in joint if c.hypothesis == h.id]
    others = [c for c in joint if c.hypothesis != h.id]
    shown = [*members, *(c for c in chosen if c not in members)]
    state.search.ask([[c] for c in shown])
    gains = [(state.gain([], [c]), c) for c in shown]
    best = max(gains, key=lambda pair: _rank(pair[0]), default=None)
    tops = [] if state.setup.twin or not others else _on_top(state, h, others, shown)
    on_top = max((state.gain(others, [*others, c]) for c in tops), key=_rank, default=None)
    results = [_result(state, c, others, outcome) for c in shown]
    names = {result.name for result in results}
    trial = Trial(
        alone=best[0] if best else None,
        on_top=on_top,
        removal=state.removal(joint, members) if members else None,
        backed=any(c.backed_by_signature for c in members),
        least=min((c.repair.least for c in members), default=ACCIDENT_NATS.value),
        edge=any(c.repair.edge for c in members),
        mended=bool(joint) and outcome.below_border and set(state.signatures[h.id].tensors) <= _changed(joint),
        localised=_localised(state, h, joint, outcome),
        differs=tuple(said([d]) for d, id in state.differs.items() if id == h.id),
    )
    if trial.located and trial.localised:
        state.located[h.id] = trial.localised[1].delta or 0.0
    rivals = tuple(_rivals(state, members, joint))
    same = f" Within noise of it: {', '.join(rival.name for rival in rivals)}." if rivals else ""
    status, reason, decider = judge(h, state.signatures[h.id], trial, outcome)
    best_name = members[0].repair.name if members else (best[1].repair.name if best else None)
    return Finding(
        id=h.id,
        status=status,
        signature=_seen(state, h, outcome),
        repairs=tuple(results),
        best_repair=best_name,
        seconds=state.seconds[h.id] + time.perf_counter() - clock,
        reason=reason + same,
        would_decide=decider,
        screened=tuple(s for s in screened if s.name not in names),
        rivals=rivals,
    )


def _rivals(state: State, members: Sequence[Candidate], joint: Sequence[Candidate]) -> Iterator[Rival]:
    """Other values of an accepted sweep, and without a twin repairs of other hypotheses, that reach the same loss
    within noise in its place, of those that were measured in full."""
    for c in members:
        for other in state.candidates:
            swapped = [other if one is c else one for one in joint]
            value = (other.hypothesis, other.targets) == (c.hypothesis, c.targets) and other.repair.sweep
            another = other.hypothesis != c.hypothesis and not state.setup.twin and other not in joint
            if other is c or other.repair.localiser or not (another or (value and c.repair.sweep)):
                continue
            if not state.setup.evaluator.known(combined(swapped)):
                continue
            over = state.gain(swapped, joint)
            if over.material or state.gain(joint, swapped).material or over.delta is None or over.stderr is None:
                continue
            needed = _sequences(over.delta, over.stderr, state.setup.baseline.sequences)
            yield Rival(other.repair.name, other.hypothesis, c.repair.name, over.delta, over.stderr, needed)


def _sequences(over: float, stderr: float, n: int) -> int | None:
    """How many sequences make a difference of `n` of them material, if it stays and scatters as it does."""
    if not abs(over) >= MATERIAL_NATS.value or not math.isfinite(stderr):
        return None
    return math.ceil(n * (MATERIAL_SE.value * stderr / over) ** 2) + 1


def _seen(state: State, h: Hypothesis, outcome: Outcome) -> Signature:
    """The signature; with a twin it is what differs from it, whatever the file alone looks like."""
    signature = state.signatures[h.id]
    mine = [d for d, id in state.differs.items() if id == h.id]
    if not outcome.twin:
        return signature
    if not mine:
        note = f" As in the reference: {signature.detail}" if signature.present else ""
        return replace(signature, present=False, detail=f"Nothing of it differs from the reference.{note}", tensors=())
    names = tuple(name for d in mine for name in d.names)
    return replace(signature, present=True, detail=f"{said(mine)}.", tensors=names)


def _changed(joint: Sequence[Candidate]) -> set[str]:
    return {name for c in joint for edit in c.repair.edits for name in edit.targets}


def _localised(state: State, h: Hypothesis, joint: Sequence[Candidate], outcome: Outcome) -> tuple[str, Gain] | None:
    """The best localiser of `h`, on the whole window; only where nothing was accepted, which could explain it. On top
    of a set that leaves the loss unexplained, the best of its repairs that tells."""
    if joint and (outcome.below_border or outcome.can_take or h.id in outcome.joint_ids):
        return None
    mine = [c for c in state.candidates if c.hypothesis == h.id]
    tells = [c for c in mine if c.repair.telling < np.inf or (c.repair.localiser and not joint)]
    for c in state.search.promising(joint, tells, FULL_ALONE):
        over = state.gain(joint, [*joint, c])
        # While the rest stays hopeless, skipping any block may help: only what makes the model sound again locates.
        sound = state.below(state.search.full([*joint, c]))
        if sound and (c.repair.localiser or (over.delta or 0.0) >= c.repair.telling):
            return c.repair.name, over
    return None


def _on_top(state: State, h: Hypothesis, others: Sequence[Candidate], shown: Sequence[Candidate]) -> list[Candidate]:
    """Repairs of `h` worth a full evaluation on top of the others': what screens well there, and the best alone."""
    mine = [c for c in state.search.pool if c.hypothesis == h.id]
    clear = [c for c in shown if not c.repair.localiser]
    return list(dict.fromkeys([*state.search.promising(others, mine, FULL_ALONE), *clear[:1]]))


def _result(state: State, c: Candidate, others: Sequence[Candidate], outcome: Outcome) -> RepairResult:
    losses = state.search.full([c])
    over, excess = state.gain([], [c]), state.excess()
    tried = others and state.setup.evaluator.known(combined([*others, c]))
    top = state.gain(others, [*others, c]) if tried else None
    return RepairResult(
        name=c.repair.name,
        loss_nats=float(losses.mean()),
        delta_nats=over.delta,
        stderr_nats=over.stderr,
        share=share(over.delta, excess.delta) if excess and outcome.exceeds else None,
        localiser=c.repair.localiser,
        on_top_delta_nats=top.delta if top else None,
        on_top_stderr_nats=top.stderr if top else None,
        description=c.repair.description,
        sweep=c.repair.sweep,
        edge=c.repair.edge,
    )


def _rank(g: Gain) -> tuple[bool, float]:
    return g.material, g.delta if g.delta is not None else -np.inf
