"""The state of one run: signatures, candidates, differences, and what is measured of the case as a whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from diag.checkpoints.compare.groups import Difference
from diag.errors import InputError
from diag.hypotheses.base import Hypothesis, Repair
from diag.hypotheses.differences import claimed_by, repair_of
from diag.hypotheses.facts import Facts, claim_facts
from diag.hypotheses.gain import Gain, gain, share
from diag.hypotheses.search import Candidate, Search, combined, stderr
from diag.hypotheses.setup import Setup
from diag.hypotheses.verdict import MASKING, Outcome
from diag.model.edits.base import Edit
from diag.progress import Progress
from diag.results.diagnosis import DataFound
from diag.results.finding import Finding, Signature
from diag.results.ruler import zone
from diag.results.thresholds import ACCIDENT_BESIDE, MATERIAL_SE


class State:
    """What one run knows. worth: what undoing a difference gives, once the search for culprits has measured it.
    located: nats by the hypothesis that a localiser speaks for."""

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
        own = [c for c in self.candidates if not c.repair.localiser]
        self.search = Search(setup.evaluator, own, setup.ruler.chance_nats, self.tell)
        if self.certain:  # what else helps may only make up for what is missing (joint.py drops it in the end)
            self.search.floor = ACCIDENT_BESIDE.value
        self.base = setup.evaluator.losses()
        self.worth: dict[Difference, Gain] = {}
        self.located: dict[str, float] = {}

    def _prepare(self, h: Hypothesis) -> None:
        """Look for the signature and list the repairs that can be made with the reference at hand, and may be."""
        context = self.setup.context
        signature = h.signature(context)
        repairs = [] if self.setup.twin else h.repairs(context, signature)
        usable = [r for r in repairs if all(context.can_apply(e) and not self._equal(e) for e in r.edits)]
        self.signatures[h.id] = signature
        self.candidates += [Candidate(h.id, repair, _backed(signature, repair)) for repair in usable]
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
            if repair and id in asked and not difference.trained:  # what training did is no defect to undo
                self.candidates.append(Candidate(id, repair, True, difference))
        return found

    def tell(self, text: str) -> None:
        """Progress through a search of unknown length: each step covers a part of what is left."""
        self.progress(self.fraction, text)
        self.fraction += 0.3 * (0.95 - self.fraction)

    @property
    def certain(self) -> bool:
        """Whether the files show for certain that something is wrong that no repair changes."""
        backed = [c for c in self.candidates if c.backed_by_signature]
        mendable = {name for c in backed for edit in c.repair.edits for name in edit.targets}
        return any(s.certain and s.tensor not in mendable for s in self.setup.suspects)

    # Numbers of the case --------------------------------------------------------------------------------------------

    def gain(self, before: Sequence[Candidate], after: Sequence[Candidate]) -> Gain:
        """Full-window gain of one set over another."""
        return self.search.gain(before, after)

    def removal(self, joint: Sequence[Candidate], members: Sequence[Candidate]) -> Gain:
        """What `members` are worth on top of the rest of the joint set."""
        return self.gain([c for c in joint if c not in members], joint)

    def by_position(self, joint: Sequence[Candidate]) -> tuple[tuple[float, ...], ...]:
        """Losses [sequences, buckets] under a set that has been evaluated, of those that the baseline keeps."""
        measured = self.setup.baseline.measurement
        kept = len(measured.by_position_nats) if measured else 0
        found = self.setup.evaluator.losses_by_position(combined(joint), range(kept))
        return tuple(tuple(row) for row in found.tolist())

    def below(self, losses: np.ndarray) -> bool:
        """Whether losses lie below the bigram's border by more than three standard errors."""
        border = self.setup.ruler.border_nats
        return border is not None and float(losses.mean()) + MATERIAL_SE.value * stderr(losses) < border

    def excess(self) -> Gain | None:
        """Over a reference that vouches, paired by sequence."""
        theirs, rounded = self.setup.reference_losses, self.setup.rounded_losses
        if theirs is None:
            return None
        over = gain(self.base, theirs, self.setup.ruler.chance_nats)
        if rounded is None:  # rounding moves sequences up and down: what it explains is no noise of the comparison
            return over
        return replace(over, stderr=gain(self.base, rounded, self.setup.ruler.chance_nats).stderr)

    def facts(self) -> Facts:
        """What the conclusion needs that does not depend on the repairs."""
        setup, found = self.setup, self.setup.reference
        doubt, unit = claim_facts(setup.claim, setup.baseline.loss, setup.one_later)
        data = setup.data or DataFound("ok", ())
        return Facts(
            loss=setup.baseline.loss,
            kind=found.kind if found and found.vouches else None,
            reference_nats=setup.ruler.reference_nats if setup.vouches else None,
            tolerance=found.tolerance_nats if found and found.vouches else None,
            excess=self.excess() if setup.vouches else None,
            expected=setup.expected,
            data=data.status,
            data_reason=" ".join(data.reasons),
            untested=setup.untested,
            no_vouching=found.why_not if found and not found.vouches else "",
            doubt=doubt,
            unit=unit,
        )

    def exceeds(self) -> bool:
        """Whether the loss is higher than the reference, or what was promised, allows."""
        return self.facts().exceeds

    def outcome(self, joint: Sequence[Candidate]) -> Outcome:
        """What is known of the case once the joint set is found."""
        setup, losses = self.setup, self.search.full(joint)
        below = self.below(losses)
        excess = self.excess()
        worth = excess.delta if excess and self.exceeds() else None
        if worth is None and setup.expected is not None and self.exceeds():
            worth = float(self.base.mean()) - setup.expected
        return Outcome(
            twin=setup.twin,
            exceeds=self.exceeds(),
            below_border=below,
            masked=not below and zone(float(losses.mean()), setup.ruler) in MASKING,
            can_take=setup.vouches,
            loss_finite=bool(np.isfinite(self.base).all()),
            joint_ids=tuple(dict.fromkeys(c.hypothesis for c in joint)),
            joint_share=share(self.gain([], joint).delta, worth) if joint else None,
            sequences=setup.baseline.sequences,
        )


def _backed(signature: Signature, repair: Repair) -> bool:
    """A repair is backed by a signature when it changes nothing but tensors that carry it; one value of a sweep is not:
    the signature says that something is off, and not by how much."""
    changed = {name for edit in repair.edits for name in edit.targets}
    return signature.present and not repair.sweep and bool(changed) and changed <= set(signature.tensors)
