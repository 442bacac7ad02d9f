"""Nats, bits, perplexity, and the unit that a claimed loss was given in.

Everything inside Subrandom is nats. Bits and perplexity exist only at the edge, next to the nats they came from:
a loss of 19.80 nats was once compared with 17.21, which is log2 of the vocabulary, in bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from string import Formatter
from typing import Literal, get_args

from diag.errors import InputError

LN2 = math.log(2.0)

LossUnit = Literal["nats", "bits", "unknown"]


def bits(nats: float) -> float:
    """The same quantity in bits."""
    return nats / LN2


def perplexity(nats: float) -> float:
    """exp(loss); infinite where the float would overflow (above 709 nats), NaN for NaN."""
    return math.inf if nats >= 709 else math.exp(nats)


def percent(share: float, digits: int = 1) -> str:
    """A finite share as "97.6 %" or "100 %"."""
    text = f"{100 * abs(share):.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{'−' if share < 0 and text != '0' else ''}{text} %"


class Percents(Formatter):
    """`str.format` in which `{share:.1%}` is `percent(share, 1)`."""

    def format_field(self, value: object, spec: str) -> str:
        """One field."""
        if spec.endswith("%") and isinstance(value, int | float):
            return percent(value, int(spec[1:-1]))
        return str(super().format_field(value, spec))


@dataclass(frozen=True)
class Claim:
    """A loss that somebody else reported, with the unit they gave it."""

    loss: float
    unit: LossUnit = "nats"

    def __post_init__(self) -> None:
        if not isinstance(self.loss, int | float):
            raise InputError(f"The claimed loss is '{self.loss}'.", fix="Give a number.")
        if self.unit not in get_args(LossUnit):
            raise InputError(f"The unit is '{self.unit}'.", fix=f"Use one of {', '.join(get_args(LossUnit))}.")

    @property
    def half_unit(self) -> float:
        """Half a unit of the last digit that it was given with, in nats: 19.8 is known within 0.05."""
        if not math.isfinite(self.loss):
            return 0.0
        exponent = int(Decimal(repr(float(self.loss))).as_tuple().exponent)
        return 0.5 * float(10.0**exponent) * (LN2 if self.unit == "bits" else 1.0)

    @property
    def nats(self) -> float:
        """The claim in nats; an unknown unit is read as nats, which is what trainers print."""
        return self.loss * LN2 if self.unit == "bits" else self.loss
