"""Run hypotheses on a case: measure, screen, repair, stack, prune, judge. What evaluates the edits is handed in, so
nothing here needs torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diag.errors import InputError
from diag.hypotheses.base import Context, Hypothesis
from diag.hypotheses.gain import Gain, gain, share
from diag.hypotheses.search import Candidate, Losses, Search, combined
from diag.hypotheses.verdict import MASKING, Outcome, Trial, VerdictInputs, conclude, judge
from diag.model.edits.base import Edit
from diag.progress import Progress
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import Diagnosis, Joint, JointRepair
from diag.results.finding import Finding, RepairResult, Screened, Signature
from diag.results.ruler import Ruler, zone
from diag.results.thresholds import EXPLAIN_SHARE, FULL_ALONE
from diag.units import Claim


@dataclass(frozen=True)
class Setup:
    """A case, loaded: what the suite needs beside the hypotheses.

    evaluator: the checkpoint on the window, able to copy from the reference. baseline: both as loaded, with a
    measurement. reference_losses: per-sequence losses of a reference that can be used, nats [n].
    """

    evaluator: Losses
    context: Context
    baseline: BaselineResult
    reference_losses: np.ndarray | None = None
    claim: Claim | None = None
    notes: tuple[str, ...] = ()

    @property
    def ruler(self) -> Ruler:
        """The marks of the case."""
        return self.baseline.ruler

    @property
    def has_reference(self) -> bool:
        """Whether there is a reference to measure an excess against."""
        return self.reference_losses is not None


def run(
    setup: Setup, hypotheses: Sequence[Hypothesis], progress: Progress, before: tuple[Finding, ...] = ()
) -> Diagnosis:
    """Test `hypotheses` and conclude. `before` are findings already made (the data's), kept at the head of the list.

    Cost: about one window pass for each repair that looks promising, a part of one for each that does not, and as
    many again for every repair that is accepted. The loaded model is the same, bit for bit, when this returns.
    """
    started = time.perf_counter()
    suite = _Suite(setup, hypotheses, progress)
    return suite.diagnose(before, started)


class _Suite:
    """The state of one run; every method but `diagnose` is one step of it."""

    def __init__(self, setup: Setup, hypotheses: Sequence[Hypothesis], progress: Progress) -> None:
        self.setup, self.progress, self.fraction = setup, progress, 0.1
        self.hypotheses: list[Hypothesis] = []
        self.set_aside: list[Finding] = []
        self.seconds: dict[str, float] = dict.fromkeys((h.id for h in hypotheses), 0.0)
        self.signatures: dict[str, Signature] = {}
        self.candidates: list[Candidate] = []
        for h in hypotheses:
            progress(0.05, f"{h.id}: looking for its signature")
            clock = time.perf_counter()
            try:
                if h.applies(setup.context):
                    self._prepare(h)
                else:
                    absent = Signature(False, "This architecture has no such part.")
                    self.set_aside.append(Finding(h.id, "not_applicable", absent))
            except InputError as error:  # this test failed; the others still count
                failed = Signature(False, "It could not be looked for.")
                self.set_aside.append(Finding(h.id, "error", failed, reason=str(error)))
            self.seconds[h.id] += time.perf_counter() - clock
        own = [c for c in self.candidates if not c.repair.localiser]
        self.search = Search(setup.evaluator, own, setup.ruler.chance_nats, self._tell)
        self.base = setup.evaluator.losses()

    def _prepare(self, h: Hypothesis) -> None:
        """Look for the signature and list the repairs that can be made with the reference at hand."""
        context = self.setup.context
        signature = h.signature(context)
        repairs = [r for r in h.repairs(context, signature) if all(context.can_apply(edit) for edit in r.edits)]
        self.signatures[h.id] = signature
        self.candidates += [Candidate(h.id, repair, _backed(signature, repair.edits)) for repair in repairs]
        self.hypotheses.append(h)

    def _tell(self, text: str) -> None:
        """Progress through a search of unknown length: each step covers a part of what is left."""
        self.progress(self.fraction, text)
        self.fraction += 0.3 * (0.95 - self.fraction)

    def diagnose(self, before: tuple[Finding, ...], started: float) -> Diagnosis:
        setup, alone = self.setup, {h.id: self._alone(h) for h in self.hypotheses}
        joint = self.search.joint(self._good_enough)
        excess, material = self._excess(joint)
        joint = sorted(self._credible(joint), key=lambda c: c.hypothesis) if material else []
        if not joint and not setup.has_reference:
            excess, material = None, False  # nothing credible was found to measure an excess against
        final = float(self.search.full(joint).mean())
        joint_share = share(self._delta(joint), excess) if joint and material else None
        ids = tuple(dict.fromkeys(c.hypothesis for c in joint))
        outcome = Outcome(
            excess_material=material,
            loss_finite=bool(np.isfinite(self.base).all()),
            joint_ids=ids,
            joint_share=joint_share,
            final_zone=zone(final, self.setup.ruler),
            has_reference=self.setup.has_reference,
            sequences=self.setup.baseline.sequences,
        )
        findings = [*before]
        for h in self.hypotheses:
            self._tell(f"{h.id}: verdict")
            findings.append(self._finding(h, alone[h.id], joint, excess if material else None, outcome))
        findings += self.set_aside
        findings.sort(key=lambda finding: finding.id)
        return self._diagnosis(findings, joint, final, outcome, started)

    def _alone(self, h: Hypothesis) -> tuple[list[Candidate], list[Screened]]:
        """Screen every repair of `h` on the loaded checkpoint: (own repairs for the full window, the others)."""
        clock = time.perf_counter()
        self._tell(f"{h.id}: trying its repairs")
        mine = [c for c in self.candidates if c.hypothesis == h.id]
        own = [c for c in mine if not c.repair.localiser]
        chosen = self.search.promising([], own, FULL_ALONE)
        others = [c for c in mine if c not in chosen]
        screened = dict(zip(others, self.search.screen([], others), strict=True))
        if not chosen and own:  # nothing helps: the best of them is still evaluated in full, for the record
            chosen = [min(own, key=lambda c: float(np.nan_to_num(screened[c].loss_nats, nan=np.inf)))]
        self.seconds[h.id] += time.perf_counter() - clock
        return chosen, list(screened.values())

    def _good_enough(self, joint: Sequence[Candidate]) -> bool:
        """Nothing material is left to find: the loss is the reference's, or plausible where there is none."""
        losses = self.search.full(joint)
        theirs = self.setup.reference_losses
        if theirs is None or not np.isfinite(theirs).all():
            return zone(float(losses.mean()), self.setup.ruler) in ("plausible", "too_good")
        if not gain(losses, theirs, self.setup.ruler.chance_nats).material:
            return True
        excess = float((self.base - theirs).mean())
        return float((self.base - losses).mean()) >= EXPLAIN_SHARE.value * excess

    def _credible(self, joint: list[Candidate]) -> list[Candidate]:
        """Drop accidents. Without a reference the best loss found is the yardstick, so whatever lowers a hopeless loss
        a little would "explain" all of it: while what remains is no better than counts, only repairs that a
        signature backs stay."""
        if self.setup.has_reference or zone(float(self.search.full(joint).mean()), self.setup.ruler) not in MASKING:
            return joint
        return self.search.prune([c for c in joint if c.backed_by_signature])

    def _excess(self, joint: Sequence[Candidate]) -> tuple[float | None, bool]:
        """(excess in nats, is it material). Against the reference, or the lowest loss that anything reached."""
        target = self.setup.reference_losses
        if target is None:
            tried = [self.search.full([c]) for c in self.search.pool if self._was_full(c)]
            finite = [losses for losses in (*tried, self.search.full(joint)) if np.isfinite(losses).all()]
            target = min(finite, key=lambda losses: float(losses.mean()), default=self.base)
        over = gain(self.base, target, self.setup.ruler.chance_nats)
        return over.delta, over.material

    def _was_full(self, c: Candidate) -> bool:
        return self.setup.evaluator.known(combined([c]))

    def _delta(self, chosen: Sequence[Candidate]) -> float | None:
        return self._gain([], chosen).delta

    def _gain(self, before: Sequence[Candidate], after: Sequence[Candidate]) -> Gain:
        return self.search.gain(before, after)

    def _finding(
        self,
        h: Hypothesis,
        alone: tuple[list[Candidate], list[Screened]],
        joint: Sequence[Candidate],
        excess: float | None,
        outcome: Outcome,
    ) -> Finding:
        clock = time.perf_counter()
        chosen, screened = alone
        members = [c for c in joint if c.hypothesis == h.id]
        others = [c for c in joint if c.hypothesis != h.id]
        shown = [*members, *(c for c in chosen if c not in members)]
        gains = [(self._gain([], [c]), c) for c in shown]
        best = max(gains, key=lambda pair: _rank(pair[0]), default=None)
        tops = [self._gain(others, [*others, c]) for c in self._on_top(h, others, shown)] if others else []
        results = [self._result(c, others, excess) for c in shown]
        names = {result.name for result in results}
        trial = Trial(
            alone=best[0] if best else None,
            on_top=max(tops, key=_rank, default=None),
            removal=self._gain(others, joint) if members else None,
        )
        status, reason, decider = judge(h, self.signatures[h.id], trial, outcome)
        best_name = members[0].repair.name if members else (best[1].repair.name if best else None)
        return Finding(
            id=h.id,
            status=status,
            signature=self.signatures[h.id],
            repairs=tuple(results),
            best_repair=best_name,
            seconds=self.seconds[h.id] + time.perf_counter() - clock,
            reason=reason,
            would_decide=decider,
            screened=tuple(s for s in screened if s.name not in names),
        )

    def _on_top(self, h: Hypothesis, others: Sequence[Candidate], shown: Sequence[Candidate]) -> list[Candidate]:
        """Repairs of `h` worth a full evaluation on top of the others': what screens well there, and the best alone."""
        mine = [c for c in self.search.pool if c.hypothesis == h.id]
        clear = [c for c in shown if not c.repair.localiser]
        return list(dict.fromkeys([*self.search.promising(others, mine, FULL_ALONE), *clear[:1]]))

    def _result(self, c: Candidate, others: Sequence[Candidate], excess: float | None) -> RepairResult:
        losses = self.search.full([c])
        over = self._gain([], [c])
        tried = others and self.setup.evaluator.known(combined([*others, c]))
        top = self._gain(others, [*others, c]) if tried else None
        return RepairResult(
            name=c.repair.name,
            loss_nats=float(losses.mean()),
            delta_nats=over.delta,
            stderr_nats=over.stderr,
            share=share(over.delta, excess),
            localiser=c.repair.localiser,
            on_top_delta_nats=top.delta if top else None,
            on_top_stderr_nats=top.stderr if top else None,
            description=c.repair.description,
        )

    def _diagnosis(
        self, findings: list[Finding], joint: Sequence[Candidate], final: float, outcome: Outcome, started: float
    ) -> Diagnosis:
        setup = self.setup
        open_ones = [f for f in findings if f.status == "inconclusive"]
        inputs = VerdictInputs(
            loss=setup.baseline.loss,
            excess_material=outcome.excess_material,
            joint_ids=outcome.joint_ids,
            joint_loss=final if joint else None,
            joint_share=outcome.joint_share,
            final_zone=outcome.final_zone,
            tested=tuple(h.id for h in self.hypotheses),
            undecided=tuple(f.id for f in open_ones),
            suspects=tuple(f.id for f in open_ones if f.signature.present),
        )
        return Diagnosis(
            baseline=setup.baseline,
            findings=tuple(findings),
            joint=Joint(
                repairs=tuple(JointRepair(c.hypothesis, c.repair.name) for c in joint),
                loss_nats=final,
                share=outcome.joint_share,
                attribution=self.search.attribution(joint),
                stderr_nats=self._gain([], joint).stderr,
            )
            if joint
            else None,
            conclusion=conclude(inputs, setup.claim),
            seconds=time.perf_counter() - started,
            forward_passes=setup.evaluator.forward_passes,
            notes=setup.notes,
        )


def _backed(signature: Signature, edits: Sequence[Edit]) -> bool:
    """A repair is backed by a signature when it changes nothing but tensors that carry it."""
    changed = {name for edit in edits for name in edit.targets}
    return signature.present and bool(changed) and changed <= set(signature.tensors)


def _rank(g: Gain) -> tuple[bool, float]:
    return g.material, g.delta if g.delta is not None else -np.inf
