"""Losses of the window's targets under another way of feeding them: an id in front, or labels shifted once more."""

from __future__ import annotations

import numpy as np
import torch

from diag.model.build import LoadedModel


@torch.inference_mode()
def losses_behind(loaded: LoadedModel, ids: np.ndarray, first: int, batch_size: int) -> np.ndarray | None:
    """float64 [n], nats, of the targets of `ids` [n, seq + 1] with `first` in front of each sequence: each keeps all
    its inputs and targets, and stands one position later. None where the model has no such position. One pass."""
    if loaded.positions is not None and ids.shape[1] > loaded.positions:
        return None
    rows = torch.tensor(np.insert(ids, 0, first, axis=1))
    parts = [loaded.loss(batch.to(loaded.device))[:, 1:] for batch in torch.split(rows, batch_size)]
    return _means(parts)


@torch.inference_mode()
def losses_one_later(loaded: LoadedModel, ids: np.ndarray, batch_size: int) -> np.ndarray:
    """float64 [n], nats, of predicting the id after the next one, as a program does that shifts its labels and hands
    them to a model that shifts them again. ids: [n, seq + 1]; seq − 1 targets a sequence. One pass."""
    body = getattr(loaded.module, str(loaded.module.base_model_prefix))
    parts = []
    for batch in torch.split(torch.tensor(ids).to(loaded.device), batch_size):
        hidden = body(input_ids=batch[:, :-1], use_cache=False).last_hidden_state  # [batch, seq, d_model]
        parts.append(loaded.loss.read_out(hidden[:, :-1], batch[:, 2:]))
    return _means(parts)


def _means(parts: list[torch.Tensor]) -> np.ndarray:
    means: np.ndarray = torch.cat(parts).double().mean(-1).cpu().numpy()
    return means
