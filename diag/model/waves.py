"""Which variants and sequences go through the layers together, so that their streams fit into memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch

from diag.model.estimate import BYTES, GIB
from diag.model.loaded import LoadedModel
from diag.model.memory import room_bytes

T = TypeVar("T")
SHARE = 0.45  # of what is free; the rest is for activations, logits and edited tensors
MOST_ON_CPU = 2 * GIB


def room(device: torch.device) -> int:
    """Bytes that streams may take on a device."""
    free = room_bytes(device)
    most = MOST_ON_CPU if device.type == "cpu" or free is None else free
    return min(most, int(SHARE * (most if free is None else free)))


def stream_bytes(loaded: LoadedModel, positions: int) -> int:
    """Of the stream of one sequence."""
    return positions * loaded.checkpoint.config.hidden_size * BYTES[loaded.dtype]


def waves(
    rows: Sequence[int], sets: Sequence[T], one_stream: int, most_bytes: int
) -> Iterator[tuple[Sequence[int], Sequence[T]]]:
    """Pairs of (sequences, sets) that cover every pair once. The sequences are divided only where those of eight sets
    do not fit."""
    fit = max(1, most_bytes // one_stream)  # streams of one sequence
    sequences = max(1, min(len(rows), fit // min(len(sets), 8)))
    together = max(1, fit // sequences)
    for start in range(0, len(rows), sequences):
        for first in range(0, len(sets), together):
            yield rows[start : start + sequences], sets[first : first + together]
