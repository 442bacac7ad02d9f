"""Per-sequence losses of a loaded checkpoint under edits, over a window: the one thing every verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from diag.errors import InputError
from diag.model.build import LoadedModel, variant
from diag.model.edits.base import Edit, TensorSource, hooked, overrides
from diag.model.loss import TokenLoss
from diag.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one set of edits has cost so far. Row i is sequence i of the window.

    losses: float64 [sequences], nats. sums: float64 [sequences, buckets], nats, summed over the positions of a bucket.
    known, placed: bool [sequences], whether the row of `losses`, and that of `sums`, has been evaluated.
    """

    losses: np.ndarray
    known: np.ndarray
    sums: np.ndarray
    placed: np.ndarray


class Evaluator:
    """Evaluates edits on one checkpoint and one window, each sequence at most once.

    ids: int64 [sequences, seq + 1]. Losses are float64 [sequences], nats, the mean over each sequence's targets.
    bucket_positions: int64 [buckets], how many positions each bucket of `losses_by_position` covers.
    Memory: one batch of activations, one chunk of logits, and the edited tensors of the call in flight; and for each
    set of edits about 10 to 20 numbers a sequence.
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
        self.bucket_positions = bucket_positions(ids.shape[1] - 1)
        self._seen: dict[tuple[Edit, ...], _Seen] = {}
        self._variants: dict[str, TokenLoss] = {}

    def losses(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
        """Losses [n] of the whole window, or of the sequences in `subset`, in that order.

        Remembered by sequence: what a subset has paid for, the whole window need not pay again.
        """
        chosen = self._chosen(subset)
        seen = self._of(edits)
        self._evaluate(tuple(edits), seen, [i for i in chosen if not seen.known[i]])
        return seen.losses[chosen]

    def losses_many(self, sets: Sequence[Sequence[Edit]], subset: Sequence[int] | None = None) -> list[np.ndarray]:
        """Losses [n] under each of `sets`, as `losses` gives them. Costs as much as asking for one after the other."""
        return [self.losses(edits, subset) for edits in sets]

    def losses_by_position(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
        """Losses [n, buckets], nats: the mean over the targets in each bucket of positions, each as long as all before.

        Weighted by `bucket_positions`, a row's mean is the sequence's loss up to rounding. Free for what `losses` has
        evaluated here.
        """
        chosen = self._chosen(subset)
        seen = self._of(edits)
        self._evaluate(tuple(edits), seen, [i for i in chosen if not seen.placed[i]])
        means: np.ndarray = seen.sums[chosen] / self.bucket_positions
        return means

    def remember(self, losses: np.ndarray) -> None:
        """Take losses [n] of the checkpoint as loaded, measured elsewhere on this window with this batch size."""
        seen = self._of(())
        seen.losses[:], seen.known[:] = losses, True

    def known(self, edits: Sequence[Edit]) -> bool:
        """Whether these edits have been evaluated on the whole window already."""
        return tuple(edits) in self._seen and bool(self._of(edits).known.all())

    def _chosen(self, subset: Sequence[int] | None) -> list[int]:
        return list(range(self.sequences) if subset is None else subset)

    def _of(self, edits: Sequence[Edit]) -> _Seen:
        n, buckets = self.sequences, len(self.bucket_positions)
        if tuple(edits) not in self._seen:
            flags = np.zeros((2, n), dtype=bool)
            self._seen[tuple(edits)] = _Seen(np.zeros(n), flags[0], np.zeros((n, buckets)), flags[1])
        return self._seen[tuple(edits)]

    @torch.inference_mode()
    def _evaluate(self, edits: tuple[Edit, ...], seen: _Seen, missing: list[int]) -> None:
        if not missing:
            return
        changed = overrides(edits, self.loaded.tensors, self.reference, self.loaded.checkpoint)
        for alias, owner in self.loaded.aliases.items():  # a tied head follows its embedding, or has an edit of its own
            if owner in changed:
                changed.setdefault(alias, changed[owner])
        own = self.loaded.renamed
        renamed = {f"model.{own.get(name, name)}": tensor for name, tensor in changed.items()}
        module = self._module(edits)
        losses, sums = [], []
        with hooked(module.model, edits):
            for start in range(0, len(missing), self.batch_size):
                batch = self.ids[missing[start : start + self.batch_size]].to(self.loaded.device)
                nll = functional_call(module, renamed, (batch,), tie_weights=False).double()  # [batch, seq]
                losses.append(nll.mean(-1).cpu().numpy())
                sums.append(bucket_sums(nll).cpu().numpy())
                self.forward_passes += len(batch)
                self.progress(None, "")
        # A loss that is known stays as it is: the same sequence in another batch may differ in its last bits.
        fresh = np.array([not seen.known[i] for i in missing])
        at = np.array(missing)
        seen.losses[at[fresh]], seen.sums[at] = np.concatenate(losses)[fresh], np.concatenate(sums)
        seen.known[at] = seen.placed[at] = True

    def _module(self, edits: tuple[Edit, ...]) -> TokenLoss:
        """The loaded model, or the same parameters under the configuration that the edits ask for; each built once."""
        raw = before = dict(self.loaded.checkpoint.raw_config)
        for edit in edits:
            raw = edit.configured(raw)
        if raw == before:
            return self.loaded.loss
        key = repr(sorted(raw.items()))
        if key not in self._variants:
            self._variants[key] = variant(self.loaded, raw)
        return self._variants[key]


def bucket_positions(positions: int) -> np.ndarray:
    """int64 [buckets]: how many of so many positions fall into each bucket: 1, 1, 2, 4, 8, …; the last has the rest."""
    ends = [1]
    while ends[-1] < positions:
        ends.append(min(2 * ends[-1], positions))
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
