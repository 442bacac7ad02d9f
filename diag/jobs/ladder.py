"""Out of memory is no end: the same work again with less, and the record says so. Imports torch.

as asked → streams of a quarter of the room → blocks read from the file in turn → on the CPU
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from diag.errors import InputError
from diag.jobs import models
from diag.jobs.inputs import Inputs
from diag.model.build import pick_device
from diag.model.estimate import TooLarge
from diag.model.memory import AS_IT_IS, Thrift, thrift
from diag.progress import Progress


@dataclass(frozen=True)
class Rung:
    """One way to do it. says: for the record, what was done with less than was asked."""

    thrift: Thrift
    on_cpu: bool = False
    says: str = ""


RUNGS = (
    Rung(AS_IT_IS),
    Rung(Thrift(0.25), says="the window went through the model in smaller pieces"),
    Rung(Thrift(0.06, stream=True), says="the blocks were read from the file in turn"),
    Rung(Thrift(0.25), on_cpu=True, says="it ran on the CPU"),
)


T = TypeVar("T")


def climb(inputs: Inputs, work: Callable[[Inputs], T], progress: Progress) -> tuple[T, str]:
    """The result of `work`, and a note; "" where it ran as asked. Costs what the rungs cost that ran out of memory.
    Whatever the last rung raises is raised."""
    device = pick_device(inputs.case.device).type
    rungs = [rung for rung in RUNGS if not (rung.on_cpu and device == "cpu")]
    for rung in rungs:
        asked = replace(inputs, case=replace(inputs.case, device="cpu")) if rung.on_cpu else inputs
        try:
            with thrift(rung.thrift):
                return work(asked), f"Memory ran out on {device}, so {rung.says}." if rung.says else ""
        except (MemoryError, RuntimeError, InputError) as error:
            if not _no_memory(error) or rung is rungs[-1]:
                raise
        # Outside of `except`: its traceback holds the tensors of what failed.
        models.KEPT.clear()
        gc.collect()
        if device == "cuda":
            torch.cuda.empty_cache()
        progress(None, "Memory ran out: once more with less")
    raise AssertionError("the last rung returns or raises")


def _no_memory(error: Exception) -> bool:
    text = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError | TooLarge) or any(
        word in text for word in ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    )
