"""How numbers look, wherever people read them: on pages, in reports, on a terminal. Pure; values stay raw elsewhere."""

from __future__ import annotations

import math
import time

from diag.results import codec
from diag.units import bits
from diag.units import percent as percent_of
from diag.units import perplexity as perplexity_of

NOTHING = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_POWER_FROM, _POWER_BELOW = 1e6, 1e-4


def number(x: float | None, signed: bool = False) -> str:
    """A loss or a difference of losses: three decimals, four significant digits where it is small, – for none."""
    if x is None:
        return NOTHING
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else ("∞" if x > 0 else "−∞")
    size = abs(x)
    if size >= _POWER_FROM or 0 < size < _POWER_BELOW:
        text = power(size)
    else:
        text = f"{size:.3f}" if size == 0 or size >= 0.01 else f"{size:.4g}"
    sign = "−" if x < 0 else "+" if signed and x > 0 else ""
    return sign + text


def nats(x: float | None) -> str:
    """A loss with its unit."""
    return "no loss" if x is None else f"{number(x)} nats"


def in_all_units(x: float | None) -> str:
    """A loss in nats, bits and perplexity."""
    if x is None:
        return "no loss"
    return f"{number(x)} nats = {number(bits(x))} bits, perplexity {perplexity(x)}"


def perplexity(nats: float) -> str:
    """exp(nats), from 1 to astronomic: three digits, whole numbers from 100, powers of ten from a million."""
    x = perplexity_of(nats)
    if not math.isfinite(x):
        return number(x)
    return power(x) if x >= _POWER_FROM else f"{x:,.0f}" if x >= 99.95 else f"{x:#.3g}"


def plus_minus(x: float | None, error: float | None, signed: bool = False) -> str:
    """A number with its standard error."""
    if error is None or x is None or not math.isfinite(x):
        return number(x, signed)
    # Neither is finer than the other: 8.523 ± 0.006, 0.006 ± 0.074.
    coarse = abs(x) < 0.01 and error >= 0.001
    said = f"{error:.3f}" if (0.01 <= abs(x) < _POWER_FROM and error < 0.01) or coarse else number(error)
    told = number(round(x, 3), signed) if coarse else number(x, signed)
    return f"{told} ± {said}"


def skill(x: float | None) -> str:
    """1 − loss ÷ unigram, to two decimals."""
    return NOTHING if x is None else f"{x:.2f}".replace("-", "−")


def percent(share: float | None, digits: int = 1) -> str:
    """A share as "97.6 %" or "100 %"; – for none and for what is not finite."""
    if share is None or not math.isfinite(share):
        return NOTHING
    return percent_of(share, digits)


def count(n: int | None) -> str:
    """A whole number with separators between thousands."""
    return NOTHING if n is None else f"{n:,}"


def figure(x: float | str | None, digits: int = 4) -> str:
    """A statistic of any size: so many significant digits. A non-finite number may come as the word JSON has for it."""
    known = codec.number(x)
    if known is None:
        return NOTHING
    if not math.isfinite(known):
        return number(known)
    size = abs(known)
    if size >= _POWER_FROM or 0 < size < _POWER_BELOW:
        text = power(size, digits)
    else:
        text = f"{size:,.0f}" if size >= 10**digits else f"{size:,.{digits}g}"
    return f"−{text}" if known < 0 else text


def power(x: float, digits: int = 3) -> str:
    """x > 0 as "3.97 × 10⁸"."""
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


def value(x: object) -> str:
    """A value of any kind, as a table of settings and facts shows it."""
    if x is None:
        return NOTHING
    if isinstance(x, bool):
        return "yes" if x else "no"
    if isinstance(x, int):
        return count(x)
    if isinstance(x, float) or (isinstance(x, str) and x in codec.NON_FINITE):
        return figure(x, 6)
    return str(x)


def seconds(x: float) -> str:
    """A duration."""
    return f"{x:.1f} s" if x < 120 else f"{x / 60:.0f} min"


def size(of: float) -> str:
    """Bytes in the unit that fits: 200 B, 23.1 MB, 3.09 GB."""
    for unit in ("B", "kB", "MB"):
        if of < 999.5:
            return f"{of:.3g} {unit}"
        of /= 1000
    return f"{of:,.2f} GB"


def files_and_size(files: int, of: float) -> str:
    """How many files something is, and how large they are together."""
    return f"{files:,} file{'s' if files != 1 else ''}, {size(of)}" if files else "folders only"


def age(modified: float, now: float | None = None) -> str:
    """How long ago an epoch time was, in one unit."""
    past = max(0.0, (time.time() if now is None else now) - modified)
    for length, unit in ((86400 * 365, "years"), (86400, "days"), (3600, "h"), (60, "min")):
        if past >= length:
            n = int(past // length)
            return f"{n} {unit[:-1] if n == 1 and unit.endswith('s') else unit} ago"
    return "just now"
