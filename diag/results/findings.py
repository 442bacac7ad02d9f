"""What a diagnosis says, as data: signatures, repairs with their losses, findings, the joint set, the conclusion.

No torch and no Streamlit here: the worker fills these in, records store them, pages and reports read them.
All losses are nats per token over the case's window; every difference is paired per sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from diag.units import Zone

Status = Literal["confirmed", "contributing", "present", "refuted", "inconclusive", "not_applicable", "error"]
ConclusionKind = Literal["explained", "partly_explained", "unexplained", "healthy", "runtime", "data", "unit"]

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
    """

    present: bool
    detail: str
    tensors: tuple[str, ...] = ()
    excluded: bool = False
    needs_reference: bool = False


@dataclass(frozen=True)
class RepairResult:
    """One repair, alone on the loaded checkpoint, over the full window. `share` is of the excess, null if none.

    delta_nats = L0 − L(repaired), positive when it helps; stderr_nats its standard error, paired per sequence.
    on_top_*: the same measured on top of the accepted repairs of the other hypotheses; null when none is accepted.
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


@dataclass(frozen=True)
class Screened:
    """A repair that did not look promising on `sequences` of the window; no verdict rests on this number."""

    name: str
    loss_nats: float
    delta_nats: float | None
    sequences: int
    localiser: bool = False


@dataclass(frozen=True)
class Finding:
    """A hypothesis, what was seen, what was tried, and the verdict with its reason."""

    id: str
    status: Status
    signature: Signature
    repairs: tuple[RepairResult, ...] = ()
    best_repair: str | None = None
    seconds: float = 0.0
    reason: str = ""
    would_decide: str = ""
    screened: tuple[Screened, ...] = ()


@dataclass(frozen=True)
class JointRepair:
    """A member of the joint set."""

    id: str
    name: str


@dataclass(frozen=True)
class Joint:
    """The smallest set of repairs within noise of the best, and what each hypothesis in it is worth in nats."""

    repairs: tuple[JointRepair, ...]
    loss_nats: float
    share: float | None
    attribution: dict[str, float | None]
    stderr_nats: float | None = None


@dataclass(frozen=True)
class Conclusion:
    """The answer, as a word for programs and a sentence for people."""

    kind: ConclusionKind
    hypotheses: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class GateResult:
    """A gate "loss < below", judged."""

    below: float
    word: str


@dataclass(frozen=True)
class LayerProbe:
    """One layer in one forward pass. Norms are root mean squares over tokens and channels; index 0 is the first block.

    residual_rms: the stream after the layer. attention_share: ‖attention update‖ / ‖stream it is added to‖.
    logit_lens_nats: the loss when the final norm and head read the stream right after this layer; null if not asked.
    """

    index: int
    residual_rms: float
    attention_rms: float
    mlp_rms: float
    attention_share: float
    mlp_share: float
    logit_lens_nats: float | None
    nonfinite: int


@dataclass(frozen=True)
class Measurement:
    """One checkpoint on one window, nothing changed: the loss with its standard error, and the layers if probed."""

    loss_nats: float
    stderr_nats: float
    tokens: int
    sequences: int
    device: str
    dtype: str
    layers: tuple[LayerProbe, ...] = ()
    load_seconds: float = 0.0
    forward_seconds: float = 0.0
    peak_memory_bytes: int = 0
    per_sequence_nats: tuple[float, ...] = ()


@dataclass(frozen=True)
class Check:
    """One thing that was checked beside the loss: a status word of its own vocabulary, and the sentence for people."""

    status: str
    text: str


@dataclass(frozen=True)
class Reading:
    """A case as loaded, nothing repaired: the loss on its ruler, the layers, and what the data and tie checks say.

    measurement is null when no loss can be computed (ids beyond the embedding rows). null_models_nats: losses of
    predictors without context on the same targets, which decide whether a gate means anything. bigram_nats: a bigram
    model learnt from the rest of the shard, on the same targets; null if there is no rest, or in an older record.
    """

    measurement: Measurement | None
    reference: Measurement | None
    chance_nats: float
    unigram_nats: float | None
    null_models_nats: tuple[float, ...]
    zone: Zone | None
    gate: GateResult | None
    data: Check
    tie: Check
    tokens: int
    sequences: int
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    bigram_nats: float | None = None


@dataclass(frozen=True)
class Diagnosis:
    """Everything one run of `test` found. `loss_nats` is null when no loss could be computed (bad data).

    bigram_nats: as in Reading.
    """

    loss_nats: float | None
    stderr_nats: float | None
    reference_nats: float | None
    unigram_nats: float | None
    chance_nats: float
    zone: Zone | None
    findings: tuple[Finding, ...]
    gate: GateResult | None
    joint: Joint | None
    conclusion: Conclusion
    device: str = ""
    dtype: str = ""
    tokens: int = 0
    sequences: int = 0
    seconds: float = 0.0
    forward_passes: int = 0
    notes: tuple[str, ...] = ()
    reading: Reading | None = None
    bigram_nats: float | None = None
