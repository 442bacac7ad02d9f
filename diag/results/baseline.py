"""A case as loaded, nothing repaired: what was measured, where it lies on the ruler, what was checked beside it."""

from __future__ import annotations

from dataclasses import dataclass

from diag.results.divergence import Divergence
from diag.results.ruler import GateResult, Loss, Ruler, Zone
from diag.results.trace import Trace


@dataclass(frozen=True)
class LayerProbe:
    """One layer in one forward pass. Norms are root mean squares over tokens and channels; index 0 is the first block.

    residual_rms: the stream after the layer. attention_share: ‖attention update‖ / ‖stream it is added to‖.
    logit_lens_nats: the loss when the final norm and head read the stream right after this layer, and its standard
    error; null if not asked.
    """

    index: int
    residual_rms: float
    attention_rms: float
    mlp_rms: float
    attention_share: float
    mlp_share: float
    logit_lens_nats: float | None
    nonfinite: int
    logit_lens_stderr: float | None = None


@dataclass(frozen=True)
class Measurement:
    """One checkpoint on one window, nothing changed: the loss with its standard error, and the layers if probed.

    trace: of the embedding and, of each layer, of the stream behind it and of both updates.
    by_position_nats: [sequences, buckets] of at most 64 sequences, the mean losses at positions 0, 1, 2 to 3, 4 to 7 …
    trace: of the embedding and, of each layer, of the stream behind it and of both updates.
    """

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
    by_position_nats: tuple[tuple[float, ...], ...] = ()
    trace: Trace | None = None


@dataclass(frozen=True)
class Check:
    """One thing that was checked beside the loss: a status word of its own vocabulary, and the sentence for people."""

    status: str
    text: str


@dataclass(frozen=True)
class BaselineResult:
    """A case as loaded: the measurements, the ruler they are held against, and what the data and tie checks say.

    measurement: null when no loss can be computed (ids beyond the embedding rows). reference: the reference on the
    same window, whatever its loss. zone, gate: of the measured loss; `loss` has it all in one shape. null_models_nats:
    losses of predictors without context on the same targets, which decide whether a gate means anything. missing:
    tensors that were not in the file and were initialised at random. divergence: from the reference, on the
    beginning of the window, where a measurement has one.
    """

    measurement: Measurement | None
    reference: Measurement | None
    ruler: Ruler
    zone: Zone | None
    gate: GateResult | None
    null_models_nats: tuple[float, ...]
    data: Check
    tie: Check
    tokens: int
    sequences: int
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    divergence: Divergence | None = None

    @property
    def loss(self) -> Loss:
        """The loss on its ruler."""
        measured = self.measurement
        return Loss(
            nats=measured.loss_nats if measured else None,
            stderr_nats=measured.stderr_nats if measured else None,
            tokens=self.tokens,
            sequences=self.sequences,
            zone=self.zone,
            ruler=self.ruler,
            gate=self.gate,
        )

    @property
    def forward_passes(self) -> int:
        """Forward passes of one sequence each."""
        return self.sequences * len(self._measured)

    @property
    def seconds(self) -> float:
        """Wall time of loading and measuring."""
        return sum(m.load_seconds + m.forward_seconds for m in self._measured)

    @property
    def _measured(self) -> tuple[Measurement, ...]:
        return tuple(m for m in (self.measurement, self.reference) if m)
