"""A case, loaded: what the suite needs beside the hypotheses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diag.checkpoints.compare.groups import Difference
from diag.hypotheses.base import Context
from diag.hypotheses.facts import OneLater, Suspect
from diag.hypotheses.search import Losses
from diag.results.baseline import BaselineResult
from diag.results.diagnosis import DataFound, ReferenceFound
from diag.results.ruler import Ruler
from diag.results.yardstick import Yardstick
from diag.units import Claim


@dataclass(frozen=True)
class Setup:
    """A case, loaded: what the suite needs beside the hypotheses.

    evaluator: the checkpoint on the window, able to copy from the reference. baseline: both as loaded, with a
    measurement. reference: what it is, None without one. reference_losses: per-sequence losses of a reference that
    vouches, nats [n]; rounded_losses: those of a quantised twin after the same rounding. differences: what differs from
    it; () without. suspects: what the files say that no repair can decide. expected: the loss that was promised, nats.
    one_later: what a program gets that shifts its labels twice, where a claim is not met.
    learnt: told what is known already, a sentence under a hypothesis's id.
    data: the shard's audit. untested: ids that were not asked for. yardstick, hints: asked only for a loss from the
    border up; hints are told whether nothing else is suspected, and name suspects by what only a bad loss makes
    suspicious.
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
    one_later: OneLater | None = None
    data: DataFound | None = None
    untested: tuple[str, ...] = ()
    hints: Callable[[bool], tuple[Suspect, ...]] | None = None
    yardstick: Callable[[], Yardstick] | None = None
    notes: tuple[str, ...] = ()
    learnt: Callable[[str, str], None] = lambda name, text: None

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
