"""A case: what is examined, and its text form, which is what a link and a command line name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from diag.errors import InputError
from diag.units import Claim, LossUnit

Device = Literal["auto", "cpu", "cuda"]
DType = Literal["auto", "fp32", "bf16"]

MAX_TOKENS = 64 * 1024 * 1024  # a link must not be able to ask for hours of compute by naming a huge window


@dataclass(frozen=True)
class Window:
    """The first batches × batch_size × (seq_len + 1) ids of a shard, as a trainer reads its validation tokens."""

    batches: int = 16
    batch_size: int = 4
    seq_len: int = 512

    def __post_init__(self) -> None:
        for name in ("batches", "batch_size", "seq_len"):
            value = getattr(self, name)
            if value < 1:
                raise InputError(f"{name.replace('_', '-')} is {value}.", fix="Give a whole number from 1 up.")
        if self.sequences * (self.seq_len + 1) > MAX_TOKENS:
            raise InputError(f"The window {self} holds more than {MAX_TOKENS:,} ids.", fix="Ask for fewer batches.")

    def __str__(self) -> str:
        return f"{self.batches}x{self.batch_size}x{self.seq_len}"

    @property
    def sequences(self) -> int:
        """Sequences asked for; each holds seq_len + 1 ids."""
        return self.batches * self.batch_size

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read the text form `batches x batch-size x seq-len`, for example 4x4x256."""
        try:
            batches, batch_size, seq_len = (int(part) for part in text.split("x"))
        except ValueError:
            raise InputError(
                f"'{text}' is no window.", fix="Write it as batches x batch-size x seq-len: 4x4x256."
            ) from None
        return cls(batches, batch_size, seq_len)


@dataclass(frozen=True)
class Case:
    """One question to the tool. Shard, checkpoint and reference are ids of the catalogue, or paths from the shell."""

    shard: str
    checkpoint: str
    reference: str | None = None
    window: Window = field(default_factory=Window)
    device: Device = "auto"
    dtype: DType = "auto"
    claim: Claim | None = None
    gate_below: float | None = None
    expected_loss: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.window, Window):
            raise InputError(f"'{self.window}' is no window.", fix="Give a Window, or its text, such as 4x4x256.")
        for name, value, words in (("device", self.device, Device), ("dtype", self.dtype, DType)):
            if value not in get_args(words):
                raise InputError(f"{name} is '{value}'.", fix=f"Use one of {', '.join(get_args(words))}.")
        if self.claim is not None and not isinstance(self.claim, Claim):
            raise InputError(f"'{self.claim}' is no claim.", fix='Give a Claim: Claim(19.8), or Claim(17.2, "bits").')
        if self.gate_below is not None and not isinstance(self.gate_below, int | float):
            raise InputError(f"gate-below is '{self.gate_below}'.", fix="Give a number of nats.")

    def to_query(self) -> dict[str, str]:
        """The case as URL parameters; nothing is left out for being a default, so a link never drifts."""
        query = {
            "shard": self.shard,
            "checkpoint": self.checkpoint,
            "window": str(self.window),
            "device": self.device,
            "dtype": self.dtype,
        }
        if self.reference:
            query["reference"] = self.reference
        if self.claim:
            query |= {"claimed_loss": repr(self.claim.loss), "claimed_unit": self.claim.unit}
        if self.gate_below is not None:
            query["gate_below"] = repr(self.gate_below)
        if self.expected_loss is not None:
            query["expected_loss"] = repr(self.expected_loss)
        return query

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Case:
        """Read URL parameters, every one of them untrusted. Unknown keys are ignored; a bad value is an InputError."""
        if not query.get("shard") or not query.get("checkpoint"):
            raise InputError("The link names no shard or no checkpoint.", fix="Pick both in the sidebar.")
        claimed = _number(query, "claimed_loss")
        return cls(
            shard=query["shard"],
            checkpoint=query["checkpoint"],
            reference=query.get("reference") or None,
            window=Window.parse(query["window"]) if query.get("window") else Window(),
            device=_one_of(query, "device", Device, "auto"),
            dtype=_one_of(query, "dtype", DType, "auto"),
            claim=None if claimed is None else Claim(claimed, _one_of(query, "claimed_unit", LossUnit, "nats")),
            gate_below=_number(query, "gate_below"),
            expected_loss=_number(query, "expected_loss"),
        )


def _number(query: Mapping[str, str], key: str) -> float | None:
    if not query.get(key):
        return None
    try:
        value = float(query[key])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{key} is '{query[key]}'.", fix="Give a finite number.")
    return value


def _one_of(query: Mapping[str, str], key: str, words: Any, default: str) -> Any:
    value = query.get(key) or default
    if value not in get_args(words):
        raise InputError(f"{key} is '{value}'.", fix=f"Use one of {', '.join(get_args(words))}.")
    return value
