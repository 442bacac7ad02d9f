"""A number that a rule compares with, with its unit and its origin: a row of the table of all thresholds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Threshold:
    """A number a rule compares with, its unit, and why it is this number."""

    value: float
    unit: str
    source: str
