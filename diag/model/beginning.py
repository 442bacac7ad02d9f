"""Losses of the window's targets under another way of feeding them: an id in front, or labels shifted once more."""

from __future__ import annotations

import numpy as np
import torch

from diag.model.loaded import LoadedModel
from diag.model.sweep import hidden, sweep
from diag.model.variants import as_loaded


def losses_behind(loaded: LoadedModel, ids: np.ndarray, first: int) -> np.ndarray | None:
    """float64 [n], nats, of the targets of `ids` [n, seq + 1] with `first` in front of each sequence: each keeps all
    its inputs and targets, and stands one position later. None where the model has no such position. One pass."""
    if loaded.positions is not None and ids.shape[1] > loaded.positions:
        return None
    rows = torch.tensor(np.insert(ids, 0, first, axis=1)).to(loaded.device)
    return _means(sweep([as_loaded(loaded)], rows)[0][:, 1:])


def losses_one_later(loaded: LoadedModel, ids: np.ndarray) -> np.ndarray:
    """float64 [n], nats, of predicting the id after the next one, as a program does that shifts its labels and hands
    them to a model that shifts them again. ids: [n, seq + 1]; seq − 1 targets a sequence. One pass."""
    rows = torch.tensor(ids).to(loaded.device)
    stream = hidden(as_loaded(loaded), rows[:, :-2])  # [n, seq - 1, d_model]
    with torch.inference_mode():
        return _means(loaded.loss.read_out(stream, rows[:, 2:]))


def _means(nll: torch.Tensor) -> np.ndarray:
    means: np.ndarray = nll.double().mean(-1).cpu().numpy()
    return means
