"""What a run that was ended early says: what it had measured, and no verdict that needs the rest."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from diag.hypotheses.base import Hypothesis
from diag.hypotheses.gain import Gain
from diag.hypotheses.search import Candidate, combined
from diag.hypotheses.setup import Setup
from diag.hypotheses.state import State
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Conclusion, DataFound, Diagnosis
from diag.results.finding import Finding, RepairResult, Screened, Signature

Tried = Mapping[str, tuple[list[Candidate], list[Screened]]]
_UNTRIED = "Stopped before its repairs were tried."
_DECIDES = "A run that is not stopped."


def before_the_first(
    baseline: BaselineResult, ids: Sequence[str], before: tuple[Finding, ...], why: str, data: DataFound | None = None
) -> Diagnosis:
    """Of a run that was ended when it knew the loss as loaded and nothing else."""
    not_looked = Signature(False, "Not looked at.")
    findings = [*before, *(Finding(id, "inconclusive", not_looked, reason=_UNTRIED) for id in ids)]
    said = f"0 of {len(ids)} hypotheses were tried"
    return _diagnosis(baseline, findings, suspects=(), why=why, said=said, data=data)


def stopped(
    setup: Setup,
    hypotheses: Sequence[Hypothesis],
    before: tuple[Finding, ...],
    *,
    state: State | None,
    tried: Tried,
    why: str,
    started: float,
) -> Diagnosis:
    """Of a run that was ended while it tried repairs. Costs no pass. The repairs that help alone are the suspects, the
    best first: alone, because what defects do together was not measured, so nothing is confirmed and none refuted."""
    if state is None:
        return before_the_first(setup.baseline, [h.id for h in hypotheses], before, why, setup.data)
    found: list[tuple[float, Finding]] = []
    for h in state.hypotheses:
        if h.id not in tried:
            reason = _UNTRIED
            found.append((math.inf, Finding(h.id, "inconclusive", state.signatures[h.id], reason=reason)))
            continue
        found.append(_alone(state, h, *tried[h.id]))
    findings = [*before, *(finding for _, finding in found), *state.set_aside]
    findings.sort(key=lambda finding: finding.id)
    helpful = sorted((pair for pair in found if math.isfinite(pair[0])), key=lambda pair: pair[0])
    said = f"{len(tried)} of {len(state.hypotheses)} hypotheses were tried"
    if helpful:
        said += f"; alone, {helpful[0][1].best_repair} ({helpful[0][1].id}) leaves the lowest loss, {helpful[0][0]:.3f}"
    suspects = tuple(finding.id for _, finding in helpful)
    diagnosis = _diagnosis(setup.baseline, findings, suspects=suspects, why=why, said=said, data=setup.data)
    return _with(diagnosis, setup, started)


def _alone(state: State, h: Hypothesis, chosen: Sequence[Candidate], screened: list[Screened]) -> tuple[float, Finding]:
    """The lowest loss that a repair of it leaves (infinite where none helps), and the finding."""
    known = [c for c in chosen if state.setup.evaluator.known(combined([c]))]
    gains = {c: state.gain([], [c]) for c in known}
    part = state.search.screen([], [c for c in chosen if c not in gains])  # screened before: from memory
    helps = {c.repair.name: float(state.search.full([c]).mean()) for c, over in gains.items() if over.material}
    helps |= {s.name: s.loss_nats for s in part if s.delta_nats is not None and s.delta_nats > 0}
    best = min(helps, key=lambda name: helps[name], default=None)
    reason = "Stopped before it was decided. " + (
        f"Alone, {best} leaves {helps[best]:.3f} nats." if best else "None of its repairs helped alone."
    )
    finding = Finding(
        id=h.id,
        status="inconclusive",
        signature=state.signatures[h.id],
        repairs=tuple(_result(state, c, gains[c]) for c in known),
        best_repair=best,
        seconds=state.seconds[h.id],
        reason=reason,
        would_decide=_DECIDES,
        screened=(*part, *screened),
    )
    return (helps[best] if best else math.inf), finding


def _result(state: State, c: Candidate, over: Gain) -> RepairResult:
    nats = float(state.search.full([c]).mean())
    repair = c.repair
    return RepairResult(repair.name, nats, over.delta, over.stderr, None, repair.localiser, sweep=repair.sweep)


def _diagnosis(
    baseline: BaselineResult,
    findings: list[Finding],
    *,
    suspects: tuple[str, ...],
    why: str,
    said: str,
    data: DataFound | None,
) -> Diagnosis:
    loss = f"As loaded the loss is {baseline.loss.nats:.3f} nats. " if baseline.loss.nats is not None else ""
    text = f"{why}: {said}. {loss}Nothing is decided."
    return Diagnosis(
        baseline=baseline,
        findings=tuple(findings),
        joint=None,
        conclusion=Conclusion("suspect", suspects, text),
        forward_passes=baseline.forward_passes,
        data=data,
        stopped=why,
    )


def _with(diagnosis: Diagnosis, setup: Setup, started: float) -> Diagnosis:
    return replace(
        diagnosis,
        seconds=time.perf_counter() - started,
        forward_passes=setup.evaluator.forward_passes,
        notes=setup.notes,
        reference=setup.reference,
        expected_nats=setup.expected,
    )
