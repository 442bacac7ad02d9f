"""Bytes that are free where a model runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from diag.model.estimate import free_memory


@dataclass(frozen=True)
class Thrift:
    """share: of what is free that may be counted on. stream: read blocks from the file, whether they fit or not."""

    share: float = 1.0
    stream: bool = False


AS_IT_IS = Thrift()
_now = AS_IT_IS


@contextmanager
def thrift(wanted: Thrift) -> Iterator[None]:
    """Models are loaded and run with less of the memory, in this process, until the block ends."""
    global _now  # noqa: PLW0603
    before, _now = _now, wanted
    try:
        yield
    finally:
        _now = before


def thrifty(most: int) -> int:
    """A number of things that are in memory together, less of them under thrift."""
    return max(1, int(_now.share * most))


def streams() -> bool:
    """Whether blocks are to stay in the file although they fit."""
    return _now.stream


def room_bytes(device: torch.device) -> int | None:
    """What streams and activations may count on: of what is free, the share that thrift leaves."""
    free = free_bytes(device)
    return None if free is None else int(_now.share * free)


def free_bytes(device: torch.device) -> int | None:
    """Of a GPU what neither others nor tensors of this process hold, within the share that the process may take
    (`torch.cuda.set_per_process_memory_fraction`). None where the machine does not say."""
    if device.type != "cuda":
        return free_memory()
    free, total = torch.cuda.mem_get_info(device)
    held = torch.cuda.memory_allocated(device)
    idle = torch.cuda.memory_reserved(device) - held
    number = torch.cuda.current_device() if device.index is None else device.index
    allowed = int(torch.cuda.get_per_process_memory_fraction(number) * total)
    return min(free + idle, allowed - held)
