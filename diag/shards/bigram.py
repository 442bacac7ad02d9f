"""Held-out bigram cross-entropy. (Being written.)"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bigram:
    """nats per token."""

    nats: float
    trained_on: int
    scored: int
    note: str = ""


def held_out_bigram(shard, size, *, first=None, progress=None):  # type: ignore[no-untyped-def]
    """To come."""
    return None
