"""What a run will take, in a sentence."""

from __future__ import annotations

from diag.model.estimate import Estimate
from diag.report import numbers


def cost_text(found: Estimate, free: int | None, flops_per_second: float | None) -> str:
    """Time, where the speed of the device is known, and memory against what is free of it, where that is known."""
    on = f"on the {'GPU' if found.device == 'cuda' else 'CPU'} in {found.dtype}"
    memory = f"{numbers.size(found.bytes)} of memory"
    parts = [f"{_time(found, flops_per_second)} {on} after loading, {memory}" if flops_per_second else f"{memory} {on}"]
    if free is not None:
        parts.append(f"{numbers.size(free)} are free" if found.bytes <= free else f"only {numbers.size(free)} are free")
    return f"Estimate: {'; '.join(parts)}."


def _time(found: Estimate, flops_per_second: float) -> str:
    fewest, most = (numbers.seconds(max(1.0, round(s))) for s in found.seconds(flops_per_second))
    fewest, most = fewest.replace(".0 s", " s"), most.replace(".0 s", " s")
    return f"about {fewest}" if fewest == most else f"about {fewest} to {most}"
