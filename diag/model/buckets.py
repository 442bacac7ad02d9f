"""Losses by position, in buckets each as long as all before; and whether a model can read a window at all."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diag.errors import InputError
from diag.model.loaded import LoadedModel


def bucket_positions(positions: int) -> np.ndarray:
    """int64 [buckets]: how many of so many positions fall into each bucket: 1, 1, 2, 4, 8, …; the last has the rest."""
    ends = [1]
    while ends[-1] < positions:
        ends.append(min(2 * ends[-1], positions))
    return np.diff([0, *ends])


def trace_positions(positions: int) -> np.ndarray:
    """int64 [buckets]: the same for figures of activations: 1, 3, 12, 48, …: four times as many as all before."""
    ends = [1]
    while ends[-1] < positions:
        ends.append(min(4 * ends[-1], positions))
    return np.diff([0, *ends])


def bucket_sums(nll: Tensor) -> Tensor:
    """float64 [batch, buckets]: the sums of nll [batch, seq] over the positions of each bucket."""
    parts = torch.split(nll, bucket_positions(nll.shape[1]).tolist(), dim=1)
    return torch.stack([part.sum(-1) for part in parts], dim=-1)


def check_window(loaded: LoadedModel, ids: np.ndarray) -> None:
    """Refuse a window the model cannot read: ids beyond its rows, or more positions than it has."""
    if int(ids.max()) >= loaded.rows or int(ids.min()) < 0:
        worst = int(ids.max()) if int(ids.max()) >= loaded.rows else int(ids.min())
        raise InputError(
            f"The window holds id {worst}, and the embedding has {loaded.rows} rows.",
            fix="The shard was made with another tokenizer: audit it, or pick the checkpoint it belongs to.",
        )
    if loaded.positions is not None and ids.shape[1] - 1 > loaded.positions:
        raise InputError(
            f"The window asks for {ids.shape[1] - 1} positions, and the model has {loaded.positions}.",
            fix=f"Use --seq-len {loaded.positions} or less.",
        )
