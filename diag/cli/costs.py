"""What a run will take, on stderr before it starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal

from diag.jobs.inputs import Inputs
from diag.model.estimate import cpu_speed, estimate, free_memory, has_gpu
from diag.report.costs import cost_text

Announce = Callable[[Inputs], None]


def announce(kind: Literal["measure", "test", "diverge", "reproduce"], *, quiet: bool) -> Announce:
    """A function that prints the estimate of a case that is open; nothing with --json, nor where the device that was
    asked for is not there."""

    def say(inputs: Inputs) -> None:
        case = inputs.case
        if quiet or (case.device == "cuda" and not has_gpu()):
            return
        on_cpu = case.device == "cpu" or not has_gpu()
        found = estimate(
            inputs.checkpoint,
            case.window,
            kind,
            reference=inputs.reference is not None,
            device="cpu" if on_cpu else "cuda",
            dtype=case.dtype,
        )
        print(cost_text(found, free_memory() if on_cpu else None, cpu_speed() if on_cpu else None), file=sys.stderr)

    return say
