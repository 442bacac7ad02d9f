"""What was found about one hypothesis: its signature, its repairs with their losses, the verdict with its reason.

All losses are nats per token over the case's window; every difference is paired per sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Status = Literal["confirmed", "contributing", "present", "refuted", "inconclusive", "not_applicable", "error"]

STATUS_WORDS: dict[Status, str] = {
    "confirmed": "its repair recovers at least half of the excess loss",
    "contributing": "its repair helps, by less than half of the excess",
    "present": "the signature is there, but repairing it changes nothing that matters",
    "refuted": "no signature, and no repair of it helps",
    "inconclusive": "this run cannot decide it",
    "not_applicable": "this architecture has no such part",
    "error": "the test itself failed",
}


@dataclass(frozen=True)
class Signature:
    """What can be seen without changing anything. `tensors` carry it.

    excluded: the claim cannot be true of this file. needs_reference: what was lost is not in this file any more.
    orders: the order in which the buffer of a tensor must be read, where that is known and is not the stored one (the
    values of `diag.checkpoints.buffer_order.BufferOrder`). settled: it was put right when the file was read.
    """

    present: bool
    detail: str
    tensors: tuple[str, ...] = ()
    excluded: bool = False
    needs_reference: bool = False
    orders: dict[str, str] = field(default_factory=dict)
    settled: bool = False


@dataclass(frozen=True)
class RepairResult:
    """One repair, alone on the loaded checkpoint, over the full window. `share` is of the excess, null if none.

    delta_nats = L0 − L(repaired), positive when it helps; stderr_nats its standard error, paired per sequence.
    on_top_*: the same measured on top of the accepted repairs of the other hypotheses; null when none is accepted.
    sweep: one of many values that were tried; edge: an end of them. Neither an edge nor a localiser ever confirms.
    """

    name: str
    loss_nats: float
    delta_nats: float | None
    stderr_nats: float | None
    share: float | None
    localiser: bool = False
    on_top_delta_nats: float | None = None
    on_top_stderr_nats: float | None = None
    description: str = ""
    sweep: bool = False
    edge: bool = False


@dataclass(frozen=True)
class Screened:
    """A repair that did not look promising on `sequences` of the window; no verdict rests on this number."""

    name: str
    loss_nats: float
    delta_nats: float | None
    sequences: int
    localiser: bool = False


@dataclass(frozen=True)
class Rival:
    """A repair that fits within noise in the place of an accepted one: another value of it, or of another hypothesis.
    over_nats: how much more loss it leaves, stderr_nats of that, paired by sequence. sequences: of the same window that
    would tell the two apart if that stays; null where it is too little to count on any."""

    name: str
    hypothesis: str
    instead_of: str
    over_nats: float
    stderr_nats: float
    sequences: int | None

    @property
    def sentence(self) -> str:
        """What fits as well, and the measurement that separates them."""
        decides = "no window of this text tells the two apart, a reference does"
        if self.sequences is not None:
            decides = f"{self.sequences:,} sequences would tell the two apart, if that stays"
        over = f"{self.over_nats:+.3f} ± {self.stderr_nats:.3f} nats"
        return f"'{self.name}' ({self.hypothesis}) fits as well as '{self.instead_of}', {over}: {decides}."


@dataclass(frozen=True)
class Finding:
    """A hypothesis, what was seen, what was tried, and the verdict with its reason. rivals: what fits as well."""

    id: str
    status: Status
    signature: Signature
    repairs: tuple[RepairResult, ...] = ()
    best_repair: str | None = None
    seconds: float = 0.0
    reason: str = ""
    would_decide: str = ""
    screened: tuple[Screened, ...] = ()
    rivals: tuple[Rival, ...] = ()
