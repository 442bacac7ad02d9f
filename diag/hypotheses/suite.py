"""Run hypotheses on a case: look, explain, stack, judge, conclude. What evaluates the edits is handed in, so nothing
here needs torch.

    with a twin       differences → put back what costs nothing → what is left explains the loss
    with a relative   the differences that stand out, then repairs on top, by the rules without a reference
    without           repairs that help → prune → keep what a signature backs or no accident explains
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diag.checkpoints.compare.groups import Difference
from diag.errors import InputError
from diag.hypotheses import fixes
from diag.hypotheses.base import Context, Hypothesis
from diag.hypotheses.conclusion import conclude
from diag.hypotheses.differences import OTHER, claimed_by, repair_of, said
from diag.hypotheses.facts import Facts, Suspect, claim_facts
from diag.hypotheses.gain import Gain, gain, share
from diag.hypotheses.minimal import PutBack
from diag.hypotheses.search import Candidate, Losses, Search, combined
from diag.hypotheses.verdict import MASKING, Outcome, Trial, judge
from diag.model.edits.base import Edit
from diag.progress import Progress
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import (
    DataFound,
    Diagnosis,
    DifferenceFound,
    Joint,
    JointRepair,
    NotExcluded,
    ReferenceFound,
)
from diag.results.finding import Finding, RepairResult, Screened, Signature
from diag.results.ruler import Ruler, zone
from diag.results.thresholds import FULL_ALONE, LISTED_DIFFERENCES, MATERIAL_SE
from diag.units import Claim


@dataclass(frozen=True)
class Yardsticks:
    """What the yardstick says of a loss from the border up: whether the model is broken, and the sentence."""

    broken: bool | None
    text: str


@dataclass(frozen=True)
class Setup:
    """A case, loaded: what the suite needs beside the hypotheses.

    evaluator: the checkpoint on the window, able to copy from the reference. baseline: both as loaded, with a
    measurement. reference: what it is, None without one. reference_losses: per-sequence losses of a reference that
    vouches, nats [n]; rounded_losses: those of a quantised twin after the same rounding. differences: what differs from
    it; () without. suspects: what the files say that no repair can decide. expected: the loss that was promised, nats.
    data: the shard's audit. untested: ids that were not asked for. yardstick: asked only for a loss from the border up.
    """

    evaluator: Losses
    context: Context
    baseline: BaselineResult
    reference: ReferenceFound | None = None
    reference_losses: np.ndarray | None = None
    rounded_losses: np.ndarray | None = None
    differences: tuple[Difference, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    expected: float | None = None
    claim: Claim | None = None
    data: DataFound | None = None
    untested: tuple[str, ...] = ()
    yardstick: Callable[[], Yardsticks] | None = None
    notes: tuple[str, ...] = ()

    @property
    def ruler(self) -> Ruler:
        """The marks of the case."""
        return self.baseline.ruler

    @property
    def vouches(self) -> bool:
        """Whether there is a reference to measure an excess against."""
        return self.reference is not None and self.reference.vouches

    @property
    def twin(self) -> bool:
        """Whether that reference explains everything."""
        return self.vouches and self.reference is not None and self.reference.kind in ("twin", "quantised")


def run(
    setup: Setup, hypotheses: Sequence[Hypothesis], progress: Progress, before: tuple[Finding, ...] = ()
) -> Diagnosis:
    """Test `hypotheses` and conclude. `before` are findings already made (the data's), kept at the head of the list.

    Cost: about one window pass for each repair that looks promising, a part of one for each that does not, and as
    many again for every repair that is accepted; with a twin about 2·k·log2(n/k) + 4·k for k culprits among n
    differences. The loaded model is the same, bit for bit, when this returns.
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
                    self.set_aside.append(Finding(h.id, "not_applicable", Signature(False, h.not_applicable)))
            except InputError as error:  # this test failed; the others still count
                failed = Signature(False, "It could not be looked for.")
                self.set_aside.append(Finding(h.id, "error", failed, reason=str(error)))
            self.seconds[h.id] += time.perf_counter() - clock
        self.differs = self._differences()
        own = [c for c in self.candidates if not c.repair.localiser and not c.trained]
        self.search = Search(setup.evaluator, own, setup.ruler.chance_nats, self._tell)
        self.base = setup.evaluator.losses()
        self.worth: dict[Difference, Gain] = {}

    def _prepare(self, h: Hypothesis) -> None:
        """Look for the signature and list the repairs that can be made with the reference at hand, and may be."""
        context = self.setup.context
        signature = h.signature(context)
        repairs = [] if self.setup.twin else h.repairs(context, signature)
        usable = [r for r in repairs if all(context.can_apply(e) and not self._equal(e) for e in r.edits)]
        self.signatures[h.id] = signature
        self.candidates += [Candidate(h.id, repair, _backed(signature, repair.edits)) for repair in usable]
        self.hypotheses.append(h)

    def _equal(self, edit: Edit) -> bool:
        """Whether an edit would change what equals the reference already."""
        return bool(set(edit.targets) & self.setup.context.equal)

    def _differences(self) -> dict[Difference, str]:
        """Every difference with the hypothesis that claims it; those that can be undone become candidates."""
        setup, context = self.setup, self.setup.context
        asked = {h.id for h in self.hypotheses}
        found = {}
        for difference in setup.differences:
            assert context.reference is not None
            found[difference] = id = claimed_by(difference, context.checkpoint)
            repair = repair_of(difference, context.checkpoint, context.reference)
            if repair and id in asked:
                self.candidates.append(Candidate(id, repair, True, difference, difference.trained))
        return found

    def _tell(self, text: str) -> None:
        """Progress through a search of unknown length: each step covers a part of what is left."""
        self.progress(self.fraction, text)
        self.fraction += 0.3 * (0.95 - self.fraction)

    def diagnose(self, before: tuple[Finding, ...], started: float) -> Diagnosis:
        alone = {h.id: self._alone(h) for h in self.hypotheses}
        joint = sorted(self._joint(), key=lambda c: c.hypothesis)
        outcome = self._outcome(joint)
        findings = [*before]
        for h in self.hypotheses:
            self._tell(f"{h.id}: verdict")
            findings.append(self._finding(h, alone[h.id], joint, outcome))
        findings += self.set_aside
        findings.sort(key=lambda finding: finding.id)
        return self._diagnosis(findings, joint, outcome, started)

    # What explains the loss ------------------------------------------------------------------------------------------

    def _joint(self) -> list[Candidate]:
        if self.setup.twin:
            return self._from_differences() if self._exceeds() else []
        start = self._from_differences() if self.setup.vouches else []
        found = self.search.joint(self._good_enough, start)
        return self._credible(found)

    def _from_differences(self) -> list[Candidate]:
        """The differences that cost something: all are undone, then put back group by group."""
        pool = [c for c in self.candidates if c.difference is not None and not (self.setup.twin and c.trained)]
        if not pool or not self.search.gain([], pool).material:
            return []
        self._tell(f"Putting {len(pool)} differences from the reference back, group by group")

        def ask(sets: Sequence[tuple[Candidate, ...]]) -> list[np.ndarray]:
            return self.setup.evaluator.losses_many([combined(chosen) for chosen in sets])

        put_back = PutBack(pool, ask, self.setup.ruler.chance_nats, lambda c: c.difference and c.difference.pattern)
        kept = list(put_back.run().kept)
        for c in kept:
            assert c.difference is not None
            self.worth[c.difference] = put_back.harm({k for k in kept if k is not c})
        return kept

    def _good_enough(self, joint: Sequence[Candidate]) -> bool:
        """Nothing material is left to find: the loss is the reference's or the promised one, or below the border."""
        losses = self.search.full(joint)
        if not np.isfinite(losses).all():
            return False
        theirs, expected = self.setup.reference_losses, self.setup.expected
        if theirs is not None and not gain(losses, theirs, self.setup.ruler.chance_nats).material:
            return True
        if expected is not None and float(losses.mean()) <= expected:
            return True
        return self._below(losses)

    def _below(self, losses: np.ndarray) -> bool:
        """Whether losses lie below the bigram's border by more than three standard errors."""
        border = self.setup.ruler.border_nats
        return border is not None and float(losses.mean()) + MATERIAL_SE.value * _stderr(losses) < border

    def _credible(self, joint: list[Candidate]) -> list[Candidate]:
        """Drop accidents: while what remains is hopeless anything lowers it a little, and on a sound model some repair
        always gains something. What a signature or a reference backs stays; the rest must be beyond accident."""
        kept = list(joint)
        while kept:
            below = self._below(self.search.full(kept))
            weak = [c for c in kept if not self._may_stay(c, kept, below)]
            if not weak:
                return kept
            kept = self.search.prune([c for c in kept if c not in weak])
        return kept

    def _may_stay(self, c: Candidate, joint: Sequence[Candidate], below: bool) -> bool:
        if c.trained:  # it resembles training: only an excess over the reference speaks for it
            return self._exceeds()
        if c.backed_by_signature:
            return True
        trial = Trial(removal=self._removal(joint, [c]), edge=c.repair.edge)
        return below and trial.beyond_accident

    def _removal(self, joint: Sequence[Candidate], members: Sequence[Candidate]) -> Gain:
        return self._gain([c for c in joint if c not in members], joint)

    # What is known of the case ---------------------------------------------------------------------------------------

    def _excess(self) -> Gain | None:
        """Over a reference that vouches, paired by sequence."""
        theirs, rounded = self.setup.reference_losses, self.setup.rounded_losses
        if theirs is None:
            return None
        over = gain(self.base, theirs, self.setup.ruler.chance_nats)
        if rounded is None:  # rounding moves sequences up and down: what it explains is no noise of the comparison
            return over
        return replace(over, stderr=gain(self.base, rounded, self.setup.ruler.chance_nats).stderr)

    def _facts(self) -> Facts:
        """What the conclusion needs that does not depend on the repairs."""
        setup, found = self.setup, self.setup.reference
        doubt, unit = claim_facts(setup.claim, setup.baseline.loss)
        data = setup.data or DataFound("ok", ())
        return Facts(
            loss=setup.baseline.loss,
            kind=found.kind if found and found.vouches else None,
            reference_nats=setup.ruler.reference_nats if setup.vouches else None,
            tolerance=found.tolerance_nats if found and found.vouches else None,
            excess=self._excess() if setup.vouches else None,
            expected=setup.expected,
            data=data.status,
            data_reason=" ".join(data.reasons),
            untested=setup.untested,
            no_vouching=found.why_not if found and not found.vouches else "",
            doubt=doubt,
            unit=unit,
        )

    def _exceeds(self) -> bool:
        return self._facts().exceeds

    def _outcome(self, joint: Sequence[Candidate]) -> Outcome:
        setup, losses = self.setup, self.search.full(joint)
        below = self._below(losses)
        excess = self._excess()
        worth = excess.delta if excess and self._exceeds() else None
        if worth is None and setup.expected is not None and self._exceeds():
            worth = float(self.base.mean()) - setup.expected
        return Outcome(
            twin=setup.twin,
            exceeds=self._exceeds(),
            below_border=below,
            masked=not below and zone(float(losses.mean()), setup.ruler) in MASKING,
            can_take=setup.vouches,
            loss_finite=bool(np.isfinite(self.base).all()),
            joint_ids=tuple(dict.fromkeys(c.hypothesis for c in joint)),
            joint_share=share(self._gain([], joint).delta, worth) if joint else None,
            sequences=setup.baseline.sequences,
        )

    # One hypothesis --------------------------------------------------------------------------------------------------

    def _alone(self, h: Hypothesis) -> tuple[list[Candidate], list[Screened]]:
        """Screen every repair of `h` on the loaded checkpoint: (own repairs for the full window, the others)."""
        clock = time.perf_counter()
        self._tell(f"{h.id}: trying its repairs")
        mine = [c for c in self.candidates if c.hypothesis == h.id]
        own = [c for c in mine if not c.repair.localiser]
        if self.setup.twin:  # few, and each is listed with its loss
            return own[: int(LISTED_DIFFERENCES.value)], []
        chosen = self.search.promising([], own, FULL_ALONE)
        others = [c for c in mine if c not in chosen]
        screened = dict(zip(others, self.search.screen([], others), strict=True))
        if not chosen and own:  # nothing helps: the best of them is still evaluated in full, for the record
            chosen = [min(own, key=lambda c: float(np.nan_to_num(screened[c].loss_nats, nan=np.inf)))]
        self.seconds[h.id] += time.perf_counter() - clock
        return chosen, list(screened.values())

    def _gain(self, before: Sequence[Candidate], after: Sequence[Candidate]) -> Gain:
        return self.search.gain(before, after)

    def _finding(
        self,
        h: Hypothesis,
        alone: tuple[list[Candidate], list[Screened]],
        joint: Sequence[Candidate],
        outcome: Outcome,
    ) -> Finding:
        clock = time.perf_counter()
        chosen, screened = alone
        members = [c for c in joint if c.hypothesis == h.id]
        others = [c for c in joint if c.hypothesis != h.id]
        shown = [*members, *(c for c in chosen if c not in members)]
        self.search.ask([[c] for c in shown])
        gains = [(self._gain([], [c]), c) for c in shown]
        best = max(gains, key=lambda pair: _rank(pair[0]), default=None)
        tops = [] if self.setup.twin or not others else self._on_top(h, others, shown)
        on_top = max((self._gain(others, [*others, c]) for c in tops), key=_rank, default=None)
        results = [self._result(c, others, outcome) for c in shown]
        names = {result.name for result in results}
        trial = Trial(
            alone=best[0] if best else None,
            on_top=on_top,
            removal=self._removal(joint, members) if members else None,
            backed=any(c.backed_by_signature for c in members),
            edge=any(c.repair.edge for c in members),
            localised=self._localised(h, joint),
            differs=tuple(said([d]) for d, id in self.differs.items() if id == h.id),
        )
        status, reason, decider = judge(h, self.signatures[h.id], trial, outcome)
        best_name = members[0].repair.name if members else (best[1].repair.name if best else None)
        return Finding(
            id=h.id,
            status=status,
            signature=self._seen(h, outcome),
            repairs=tuple(results),
            best_repair=best_name,
            seconds=self.seconds[h.id] + time.perf_counter() - clock,
            reason=reason,
            would_decide=decider,
            screened=tuple(s for s in screened if s.name not in names),
        )

    def _seen(self, h: Hypothesis, outcome: Outcome) -> Signature:
        """The signature; with a twin it is what differs from it, whatever the file alone looks like."""
        signature = self.signatures[h.id]
        mine = [d for d, id in self.differs.items() if id == h.id]
        if not outcome.twin:
            return signature
        if not mine:
            note = f" As in the reference: {signature.detail}" if signature.present else ""
            return replace(
                signature, present=False, detail=f"Nothing of it differs from the reference.{note}", tensors=()
            )
        names = tuple(name for d in mine for name in d.names)
        return replace(signature, present=True, detail=f"{said(mine)}.", tensors=names)

    def _localised(self, h: Hypothesis, joint: Sequence[Candidate]) -> tuple[str, Gain] | None:
        """The best localiser of `h`, on the whole window; only where nothing was accepted, which could explain it."""
        mine = [c for c in self.candidates if c.hypothesis == h.id and c.repair.localiser]
        if not mine or joint:
            return None
        best = self.search.promising([], mine, FULL_ALONE)[:1]
        # While the rest stays hopeless, skipping any block may help: only what makes the model sound again locates.
        if not best or not self._below(self.search.full(best)):
            return None
        return best[0].repair.name, self._gain([], best)

    def _on_top(self, h: Hypothesis, others: Sequence[Candidate], shown: Sequence[Candidate]) -> list[Candidate]:
        """Repairs of `h` worth a full evaluation on top of the others': what screens well there, and the best alone."""
        mine = [c for c in self.search.pool if c.hypothesis == h.id]
        clear = [c for c in shown if not c.repair.localiser]
        return list(dict.fromkeys([*self.search.promising(others, mine, FULL_ALONE), *clear[:1]]))

    def _result(self, c: Candidate, others: Sequence[Candidate], outcome: Outcome) -> RepairResult:
        losses = self.search.full([c])
        over, excess = self._gain([], [c]), self._excess()
        tried = others and self.setup.evaluator.known(combined([*others, c]))
        top = self._gain(others, [*others, c]) if tried else None
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
        )

    # The case as a whole ---------------------------------------------------------------------------------------------

    def _diagnosis(
        self, findings: list[Finding], joint: Sequence[Candidate], outcome: Outcome, started: float
    ) -> Diagnosis:
        setup, losses = self.setup, self.search.full(joint)
        over = self._gain([], joint) if joint else None
        facts = replace(
            self._facts(),
            joint_ids=outcome.joint_ids,
            joint_nats=float(losses.mean()) if joint else None,
            joint_stderr=_stderr(losses),
            joint_share=outcome.joint_share,
            suspects=self._suspects(findings, joint, outcome),
            failed=tuple(f.id for f in findings if f.status == "error"),
            listed=self._listed(joint),
        )
        if setup.yardstick and not joint and not facts.trusted and not facts.exceeds:
            self._tell("Holding the loss against the yardstick")
            seen = setup.yardstick()
            facts = replace(facts, broken=seen.broken, yardstick=seen.text)
        return Diagnosis(
            baseline=setup.baseline,
            findings=tuple(findings),
            joint=Joint(
                repairs=tuple(JointRepair(c.hypothesis, c.repair.name) for c in joint),
                loss_nats=float(losses.mean()),
                share=outcome.joint_share,
                attribution=self.search.attribution(joint),
                stderr_nats=over.stderr if over else None,
            )
            if joint
            else None,
            conclusion=conclude(facts, fixes.of(joint, setup.context), self._open(findings)),
            seconds=time.perf_counter() - started,
            forward_passes=setup.evaluator.forward_passes,
            notes=setup.notes,
            reference=setup.reference,
            differences=self._found() if setup.vouches else None,
            data=setup.data,
            expected_nats=setup.expected,
        )

    def _suspects(
        self, findings: Sequence[Finding], joint: Sequence[Candidate], outcome: Outcome
    ) -> tuple[Suspect, ...]:
        """What no repair decides: signatures of hypotheses that stay open, then what the files say of tensors that no
        accepted repair changes."""
        mended = {name for c in joint for edit in c.repair.edits for name in edit.targets}
        seen = tuple(s for s in self.setup.suspects if s.id not in outcome.joint_ids and s.tensor not in mended)
        if outcome.twin:
            return seen
        open_ones = [f for f in findings if f.status == "inconclusive"]
        signed = [Suspect(f.id, f.signature.detail) for f in open_ones if f.signature.present]
        located = [Suspect(f.id, f.reason) for f in open_ones if f.reason.startswith("Located")]
        return (*signed, *seen, *located)

    def _listed(self, joint: Sequence[Candidate]) -> str:
        """Differences that stay, in a sentence."""
        used = {c.difference for c in joint}
        left = [d for d in self.differs if d not in used]
        return f"Differs and costs nothing material: {said(left)}." if left and self.setup.twin else ""

    def _open(self, findings: Sequence[Finding]) -> tuple[NotExcluded, ...]:
        ids = {h.id: h.without_reference for h in self.hypotheses}
        return tuple(
            NotExcluded(f.id, ids[f.id], None)
            for f in findings
            if ids.get(f.id) and f.status in ("refuted", "present", "inconclusive")
        )

    def _found(self) -> tuple[DifferenceFound, ...]:
        """Every difference, with what undoing it gives: beside all other repairs, or else alone."""
        by = {c.difference: c for c in self.candidates if c.difference is not None}
        rows = []
        for number, (difference, id) in enumerate(self.differs.items()):
            over = self.worth.get(difference)
            if over is None and difference in by and number < LISTED_DIFFERENCES.value:
                over = self._gain([], [by[difference]])
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


def _stderr(losses: np.ndarray) -> float:
    """Standard error of a mean over sequences; 0 for one."""
    return float(losses.std(ddof=1) / np.sqrt(len(losses))) if len(losses) > 1 else 0.0


def _backed(signature: Signature, edits: Sequence[Edit]) -> bool:
    """A repair is backed by a signature when it changes nothing but tensors that carry it."""
    changed = {name for edit in edits for name in edit.targets}
    return signature.present and bool(changed) and changed <= set(signature.tensors)


def _rank(g: Gain) -> tuple[bool, float]:
    return g.material, g.delta if g.delta is not None else -np.inf


__all__ = ["OTHER", "Setup", "Yardsticks", "run"]
