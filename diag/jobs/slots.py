"""Where workers compute: one slot a GPU, and slots of the CPU on request. No torch.

A worker sees the one device of its slot (CUDA_VISIBLE_DEVICES), so that "cuda" means that device to everything in it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diag.case import Device
from diag.model.estimate import has_gpu

WORKERS_ON_DEVICE = "SUBRANDOM_WORKERS_ON_DEVICE"  # tells a worker how many divide its device's memory
GENTLE = "SUBRANDOM_GENTLE_START"  # tells a worker to let the pages go first while it starts: nobody waits for it yet


@dataclass(frozen=True)
class Slot:
    """A place for one worker. environment: what its process sees differently. gpu: whether it computes on one."""

    name: str
    gpu: bool
    environment: Mapping[str, str] = field(default_factory=dict)


def slots(workers: int | None = None, environment: Mapping[str, str] = os.environ) -> tuple[Slot, ...]:
    """workers None ("auto"): one slot a GPU, or one on the CPU. A number: that many, GPUs first, the rest on the CPU,
    which divide its cores."""
    gpus = visible_gpus(environment)
    count = workers if workers is not None else max(1, len(gpus))
    on_gpu = [Slot(f"cuda:{i}", True, {"CUDA_VISIBLE_DEVICES": gpu}) for i, gpu in enumerate(gpus[:count])]
    left = count - len(on_gpu)
    threads = {"OMP_NUM_THREADS": str(max(1, _cores() // left)), WORKERS_ON_DEVICE: str(left)} if left > 1 else {}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if gpus else {}
    on_cpu = [Slot("cpu" if left == 1 else f"cpu {i + 1}", False, {**threads, **hidden}) for i in range(left)]
    return (*on_gpu, *on_cpu)


def serves(slot: Slot, device: Device, every: Sequence[Slot]) -> bool:
    """Whether a job for `device` may run in `slot`. Where there are GPUs, "auto" means one of them: the same question
    must not give bf16 in one slot and float32 in the other. Slots of the CPU are for jobs that ask for it."""
    if not any(each.gpu for each in every) or all(each.gpu for each in every):
        return True
    return slot.gpu == (device != "cpu")


def visible_gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name, one entry a GPU that this process may use."""
    stated = environment.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        return [gpu for gpu in (part.strip() for part in stated.split(",")) if gpu and gpu != "-1"] if has_gpu() else []
    devices = [path for path in Path("/dev").glob("nvidia*") if path.name.removeprefix("nvidia").isdecimal()]
    return [str(i) for i in range(max(1, len(devices)))] if has_gpu() else []


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
