"""Per-sequence losses of a loaded checkpoint under edits, over a window: the one thing every verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.func import functional_call

from diag.errors import InputError
from diag.model.apply import TensorSource, hooked, overrides
from diag.model.build import LoadedModel
from diag.model.edits import Edit
from diag.progress import Progress, silent


class Evaluator:
    """Evaluates edits on one checkpoint and one window, each at most once.

    ids: int64 [sequences, seq + 1]. Losses are float64 [sequences], nats, the mean over each sequence's targets.
    Memory: one batch of activations, one chunk of logits, and the edited tensors of the call in flight.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        ids: np.ndarray,
        *,
        batch_size: int,
        reference: TensorSource | None = None,
        progress: Progress = silent,
    ) -> None:
        check_window(loaded, ids)
        self.loaded, self.reference, self.progress = loaded, reference, progress
        self.batch_size = batch_size
        self.ids = torch.tensor(ids)
        self.sequences = len(ids)
        self.forward_passes = 0  # of one sequence each
        self._losses: dict[tuple[Edit, ...], np.ndarray] = {}
        self._known: dict[tuple[Edit, ...], np.ndarray] = {}

    def losses(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
        """Losses [n] of the whole window, or of the sequences in `subset`, in that order.

        Remembered by sequence: what a subset has paid for, the whole window need not pay again.
        """
        key, chosen = tuple(edits), list(range(self.sequences) if subset is None else subset)
        known = self._known.setdefault(key, np.zeros(self.sequences, dtype=bool))
        values = self._losses.setdefault(key, np.zeros(self.sequences))
        missing = [i for i in chosen if not known[i]]
        if missing:
            values[missing] = self._evaluate(key, missing)
            known[missing] = True
        return values[chosen]

    def remember(self, losses: np.ndarray) -> None:
        """Take losses [n] of the checkpoint as loaded, measured elsewhere on this window with this batch size."""
        self._losses[()], self._known[()] = np.array(losses), np.ones(self.sequences, dtype=bool)

    def known(self, edits: Sequence[Edit]) -> bool:
        """Whether these edits have been evaluated on the whole window already."""
        return tuple(edits) in self._known and bool(self._known[tuple(edits)].all())

    @torch.inference_mode()
    def _evaluate(self, edits: tuple[Edit, ...], chosen: list[int]) -> np.ndarray:
        changed = overrides(edits, self.loaded.tensors, self.reference)
        own = self.loaded.renamed
        renamed = {f"model.{own.get(name, name)}": tensor for name, tensor in changed.items()}
        out = []
        with hooked(self.loaded.module, edits):
            for start in range(0, len(chosen), self.batch_size):
                batch = self.ids[chosen[start : start + self.batch_size]].to(self.loaded.device)
                nll = functional_call(self.loaded.loss, renamed, (batch,))  # [batch, seq]
                out.append(nll.double().mean(-1).cpu().numpy())
                self.forward_passes += len(batch)
                self.progress(None, "")
        return np.concatenate(out)


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
