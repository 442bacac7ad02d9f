"""The numbers that a diagnosis and a reading have in common, so that tables and reports need not tell them apart."""

from __future__ import annotations

from dataclasses import dataclass

from diag.results.findings import Check, GateResult
from diag.results.record import Record
from diag.units import Zone


@dataclass(frozen=True)
class Summary:
    """One record at a glance. Losses are nats; None where nothing could be computed or there is no reference."""

    loss_nats: float | None
    stderr_nats: float | None
    reference_nats: float | None
    unigram_nats: float | None
    bigram_nats: float | None
    chance_nats: float
    zone: Zone | None
    gate: GateResult | None
    tokens: int
    sequences: int
    notes: tuple[str, ...]
    checks: tuple[tuple[str, Check], ...] = ()


def summary(record: Record) -> Summary:
    """Read a record of either kind."""
    reading, diagnosis = record.reading(), record.diagnosis()
    checks = (("data", reading.data), ("tied weights", reading.tie)) if reading else ()
    if diagnosis:
        return Summary(
            loss_nats=diagnosis.loss_nats,
            stderr_nats=diagnosis.stderr_nats,
            reference_nats=diagnosis.reference_nats,
            unigram_nats=diagnosis.unigram_nats,
            bigram_nats=diagnosis.bigram_nats,
            chance_nats=diagnosis.chance_nats,
            zone=diagnosis.zone,
            gate=diagnosis.gate,
            tokens=diagnosis.tokens,
            sequences=diagnosis.sequences,
            notes=diagnosis.notes,
            checks=checks,
        )
    if reading is None:
        raise TypeError(f"a record of kind {record.kind} has no numbers")
    measured, reference = reading.measurement, reading.reference
    return Summary(
        loss_nats=measured.loss_nats if measured else None,
        stderr_nats=measured.stderr_nats if measured else None,
        reference_nats=reference.loss_nats if reference else None,
        unigram_nats=reading.unigram_nats,
        bigram_nats=reading.bigram_nats,
        chance_nats=reading.chance_nats,
        zone=reading.zone,
        gate=reading.gate,
        tokens=reading.tokens,
        sequences=reading.sequences,
        notes=reading.notes,
        checks=checks,
    )
