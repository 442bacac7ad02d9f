"""Run hypotheses on a case: look, explain, judge, conclude. Edits are evaluated by what is handed in: no torch here.

with a twin       differences → put back what costs nothing → what is left explains the loss
with a relative   the differences that stand out, then repairs on top, by the rules without a reference
without           repairs that help → prune → keep what a signature backs or no accident explains
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from diag.errors import Enough
from diag.hypotheses import fixes
from diag.hypotheses.base import Hypothesis
from diag.hypotheses.conclusion import conclude
from diag.hypotheses.differences import said
from diag.hypotheses.facts import Suspect
from diag.hypotheses.joint import joint_set
from diag.hypotheses.judged import alone, finding
from diag.hypotheses.localise import Place, localise, told
from diag.hypotheses.search import Candidate, combined, stderr
from diag.hypotheses.setup import Setup
from diag.hypotheses.state import State
from diag.hypotheses.stopped import stopped
from diag.hypotheses.verdict import Outcome
from diag.model.edits.as_data import to_data
from diag.progress import Progress
from diag.results.diagnosis import Diagnosis, DifferenceFound, Joint, JointRepair, NotExcluded
from diag.results.finding import Finding, Screened
from diag.results.positions import by_position
from diag.results.thresholds import LISTED_DIFFERENCES

__all__ = ["Setup", "run"]


def run(
    setup: Setup, hypotheses: Sequence[Hypothesis], progress: Progress, before: tuple[Finding, ...] = ()
) -> Diagnosis:
    """Test `hypotheses` and conclude. `before` are findings already made (the data's), kept at the head of the list.

    Cost: about one window pass for each repair that looks promising, a part of one for each that does not, and as
    many again for every repair that is accepted; with a twin about 2·k·log2(n/k) + 4·k for k culprits among n
    differences. The loaded model is the same, bit for bit, when this returns.
    """
    started, state = time.perf_counter(), None
    tried: dict[str, tuple[list[Candidate], list[Screened]]] = {}
    try:
        state = State(setup, hypotheses, progress)
        for h in state.hypotheses:
            tried[h.id] = alone(state, h)
            setup.learnt(h.id, _so_far(state, tried[h.id][0]))
        return _concluded(state, hypotheses, tried, before, started)
    except Enough as enough:
        return stopped(setup, hypotheses, before, state=state, tried=tried, why=str(enough), started=started)


def _so_far(state: State, chosen: Sequence[Candidate]) -> str:
    """What a hypothesis's repairs do alone, from what was screened."""
    seen = [s for s in state.search.screen([], list(chosen)) if s.delta_nats is not None and s.delta_nats > 0]
    if not seen:
        return "no repair helps alone, so far"
    best = min(seen, key=lambda s: s.loss_nats)
    return f"alone, {best.name} leaves {best.loss_nats:.3f} nats (n = {best.sequences} sequences)"


def _concluded(
    state: State,
    hypotheses: Sequence[Hypothesis],
    tried: dict[str, tuple[list[Candidate], list[Screened]]],
    before: tuple[Finding, ...],
    started: float,
) -> Diagnosis:
    joint = sorted(joint_set(state), key=lambda c: c.hypothesis)
    outcome = state.outcome(joint)
    findings = [*before]
    for h in state.hypotheses:
        state.tell(f"{h.id}: verdict")
        findings.append(finding(state, h, tried[h.id], joint, outcome))
    findings += state.set_aside
    findings.sort(key=lambda found: found.id)
    place = localise(state, findings, joint)
    diagnosis = _diagnosis(state, told(findings, place), joint, outcome, place=place, started=started)
    return _placed(diagnosis, hypotheses)


def _placed(diagnosis: Diagnosis, hypotheses: Sequence[Hypothesis]) -> Diagnosis:
    """The same, with a sentence on the loss by position where it speaks for a hypothesis that is still open."""
    found = by_position(diagnosis)
    ids = {h.id for h in hypotheses if h.by_position}
    if found is None or not found.grows:
        return diagnosis

    def told(one: Finding) -> Finding:
        if one.id not in ids or one.status in ("refuted", "not_applicable", "error"):
            return one
        return replace(one, signature=replace(one.signature, detail=f"{one.signature.detail} {found.sentence}"))

    return replace(diagnosis, findings=tuple(told(one) for one in diagnosis.findings))


def _diagnosis(
    state: State,
    findings: list[Finding],
    joint: Sequence[Candidate],
    outcome: Outcome,
    *,
    place: Place | None,
    started: float,
) -> Diagnosis:
    setup, losses = state.setup, state.search.full(joint)
    over = state.gain([], joint) if joint else None
    facts = replace(
        state.facts(),
        joint_ids=outcome.joint_ids,
        joint_names=tuple(c.repair.name for c in joint),
        joint_nats=float(losses.mean()) if joint else None,
        joint_stderr=stderr(losses),
        joint_share=outcome.joint_share,
        suspects=_suspects(state, findings, joint, outcome),
        failed=tuple(f.id for f in findings if f.status == "error"),
        listed=_listed(state, joint),
    )
    if facts.rounded_away:
        facts = replace(facts, suspects=(Suspect("H4G", "Rounding alone costs this much."), *facts.suspects))
    seen = None
    if setup.yardstick and not joint and not facts.trusted and not facts.exceeds and not facts.rounded_away:
        state.tell("Holding the loss against the yardstick")
        seen = setup.yardstick()
        facts = replace(facts, broken=seen.broken or None, yardstick=seen.sentence)
    if setup.hints and not joint and not facts.trusted:
        hints = setup.hints(not facts.suspects)
        facts, findings = replace(facts, suspects=(*facts.suspects, *hints)), _hinted(findings, hints)
    if place and place.certain and not facts.suspects:  # last: it says where, and not what
        facts = replace(facts, suspects=(Suspect(place.hypothesis, place.sentence),))
    return Diagnosis(
        baseline=setup.baseline,
        findings=tuple(findings),
        joint=Joint(
            repairs=tuple(JointRepair(c.hypothesis, c.repair.name) for c in joint),
            loss_nats=float(losses.mean()),
            share=outcome.joint_share,
            attribution=state.search.attribution(joint),
            attribution_stderr=state.search.attribution_stderr(joint),
            stderr_nats=over.stderr if over else None,
            by_position_nats=state.by_position(joint),
            edits=tuple(to_data(edit) for edit in combined(joint)),
        )
        if joint
        else None,
        conclusion=conclude(facts, fixes.of(joint, setup.context), _open(state, findings)),
        seconds=time.perf_counter() - started,
        forward_passes=setup.evaluator.forward_passes + (seen.forward_passes if seen else 0),
        notes=setup.notes,
        reference=setup.reference,
        differences=_found(state) if setup.vouches else None,
        data=setup.data,
        expected_nats=setup.expected,
        yardstick=seen,
    )


def _hinted(findings: list[Finding], hints: Sequence[Suspect]) -> list[Finding]:
    """The findings, none of them refuted that a hint speaks for: the file leaves room for what it does not show."""
    said = {hint.id: hint.detail for hint in hints}
    return [
        replace(f, status="inconclusive", reason=f"Suspected: {said[f.id]}", would_decide="A sound copy of this model.")
        if f.id in said and f.status == "refuted"
        else f
        for f in findings
    ]


def _suspects(
    state: State, findings: Sequence[Finding], joint: Sequence[Candidate], outcome: Outcome
) -> tuple[Suspect, ...]:
    """What no repair decides: signatures of hypotheses that stay open, then what the files say of tensors that no
    accepted repair changes."""
    mended = {name for c in joint for edit in c.repair.edits for name in edit.targets}
    seen = tuple(s for s in state.setup.suspects if s.id not in outcome.joint_ids and s.tensor not in mended)
    if outcome.twin:
        return seen
    open_ones = [f for f in findings if f.status == "inconclusive"]
    shown = sorted((f for f in open_ones if f.signature.present), key=lambda f: not f.signature.tensors)
    signed = [Suspect(f.id, f.signature.detail) for f in shown]  # what the file shows, then what only a pass shows
    told = [f for f in open_ones if f.id in state.located and not f.signature.present]
    located = [Suspect(f.id, f.reason) for f in sorted(told, key=lambda f: -state.located[f.id])]
    certain = tuple(s for s in seen if s.certain)
    return (*certain, *signed, *(s for s in seen if not s.certain), *located)


def _listed(state: State, joint: Sequence[Candidate]) -> str:
    """Differences that stay, in a sentence."""
    used = {c.difference for c in joint}
    left = [d for d in state.differs if d not in used]
    return f"Differs and costs nothing material: {said(left)}." if left and state.setup.twin else ""


def _open(state: State, findings: Sequence[Finding]) -> tuple[NotExcluded, ...]:
    ids = {h.id: h.without_reference for h in state.hypotheses}
    return tuple(
        NotExcluded(f.id, ids[f.id], None)
        for f in findings
        if ids.get(f.id)
        and f.status in ("refuted", "present", "inconclusive")
        and not (f.status == "refuted" and f.signature.excluded)  # the file leaves no room for it
    )


def _found(state: State) -> tuple[DifferenceFound, ...]:
    """Every difference, with what undoing it gives: beside all other repairs, or else alone."""
    by = {c.difference: c for c in state.candidates if c.difference is not None}
    rows = []
    for number, (difference, id) in enumerate(state.differs.items()):
        over = state.worth.get(difference)
        if over is None and difference in by and number < LISTED_DIFFERENCES.value:
            over = state.gain([], [by[difference]])
        rows.append(
            DifferenceFound(
                names=difference.names,
                layers=difference.layers,
                pattern=difference.pattern,
                detail=difference.detail,
                delta_nats=over.delta if over else None,
                hypothesis=id,
                stderr_nats=over.stderr if over else None,
            )
        )
    return tuple(sorted(rows, key=lambda row: -(row.delta_nats or 0.0)))
