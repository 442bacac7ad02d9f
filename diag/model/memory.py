"""Bytes that are free where a model runs."""

from __future__ import annotations

import torch

from diag.model.estimate import free_memory


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
