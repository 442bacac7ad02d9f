"""What flows through a model, as rows of figures: one table, whoever made it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TraceRow:
    """The values of one point at the positions `first` to `stop` − 1 of every sequence.

    point: what they are, such as "stream" (behind the layer), "attention" and "mlp" (what the layer adds to it), or
    "embedding". layer: null for a point that is in no layer. values: how many there are; non-finite ones are counted
    in `nonfinite` and left out of all other figures, which are NaN where nothing finite is left. deviation: the
    standard deviation, of the population. l2: the norm of all finite values together. zeros: the share that is 0.
    """

    point: str
    layer: int | None
    first: int
    stop: int
    values: int
    mean: float
    deviation: float
    l2: float
    lowest: float
    highest: float
    zeros: float
    nonfinite: int

    @property
    def rms(self) -> float:
        """The root mean square of the finite values."""
        finite = self.values - self.nonfinite
        return self.l2 / float(finite) ** 0.5 if finite else float("nan")


@dataclass(frozen=True)
class Trace:
    """The rows in the order of the forward pass. source: who made them: this program, or the name of another."""

    source: str
    rows: tuple[TraceRow, ...]

    def at(self, point: str, layer: int | None = None) -> tuple[TraceRow, ...]:
        """The rows of one point, first positions first."""
        return tuple(row for row in self.rows if row.point == point and row.layer == layer)
