"""Per-sequence losses of a loaded checkpoint under edits, over a window: the one thing every verdict rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from diag.model.buckets import bucket_positions, bucket_sums, check_window
from diag.model.build import variant
from diag.model.edits.base import Edit, TensorSource
from diag.model.loaded import LoadedModel
from diag.model.loss import TokenLoss
from diag.model.sweep import sweep
from diag.model.variants import Variant
from diag.model.waves import room, stream_bytes, waves
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


class Modules:
    """The loaded model under each configuration that edits ask for: each is built once, around the same parameters."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.loaded = loaded
        self._built: dict[str, TokenLoss] = {}

    def under(self, edits: Sequence[Edit]) -> tuple[TokenLoss, str]:
        """The loaded model, or the same parameters under the configuration that the edits ask for; and what tells it
        from others."""
        raw = before = dict(self.loaded.checkpoint.raw_config)
        for edit in edits:
            raw = edit.configured(raw)
        if raw == before:
            return self.loaded.loss, ""
        key = repr(sorted(raw.items()))
        if key not in self._built:
            self._built[key] = variant(self.loaded, raw)
        return self._built[key], key


class Evaluator:
    """Evaluates edits on one checkpoint and one window, each sequence at most once.

    ids: int64 [sequences, seq + 1]. targets: [sequences, seq], where they are not the next ids. Losses are float64
    [sequences], nats, the mean over each sequence's targets. modules: those of another window, to build none twice.
    bucket_positions: int64 [buckets], how many positions each bucket of `losses_by_position` covers.
    Memory: that of a sweep (sweep.py), in waves that fit what is free (waves.py); and for each set of edits about 10 to
    20 numbers a sequence.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        ids: np.ndarray,
        *,
        reference: TensorSource | None = None,
        progress: Progress = silent,
        targets: np.ndarray | None = None,
        modules: Modules | None = None,
    ) -> None:
        check_window(loaded, ids)
        self.loaded, self.reference, self.progress = loaded, reference, progress
        self.ids = torch.tensor(ids)
        self.targets = None if targets is None else torch.tensor(targets)
        self.modules = modules or Modules(loaded)
        self.sequences = len(ids)
        self.forward_passes = 0  # of one sequence each
        self.bucket_positions = bucket_positions(ids.shape[1] - 1)
        self._seen: dict[tuple[Edit, ...], _Seen] = {}

    def losses(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
        """Losses [n] of the whole window, or of the sequences in `subset`, in that order.

        Remembered by sequence: what a subset has paid for, the whole window need not pay again.
        """
        return self.losses_many([edits], subset)[0]

    def losses_many(self, sets: Sequence[Sequence[Edit]], subset: Sequence[int] | None = None) -> list[np.ndarray]:
        """Losses [n] under each of `sets`, as `losses` gives them up to the last bits: in one sweep."""
        chosen = self._chosen(subset)
        self._evaluate(sets, lambda seen: tuple(i for i in chosen if not seen.known[i]))
        return [self._of(edits).losses[chosen] for edits in sets]

    def losses_by_position(self, edits: Sequence[Edit] = (), subset: Sequence[int] | None = None) -> np.ndarray:
        """Losses [n, buckets], nats: the mean over the targets in each bucket of positions, each as long as all before.

        Weighted by `bucket_positions`, a row's mean is the sequence's loss up to rounding. Free for what `losses` has
        evaluated here.
        """
        chosen = self._chosen(subset)
        seen = self._of(edits)
        self._evaluate([edits], lambda seen: tuple(i for i in chosen if not seen.placed[i]))
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

    def _evaluate(self, sets: Sequence[Sequence[Edit]], missing: Callable[[_Seen], tuple[int, ...]]) -> None:
        """Sweep each set over the sequences that it is missing: one sweep for all that miss the same ones."""
        rounds: dict[tuple[int, ...], list[tuple[Edit, ...]]] = {}
        for edits in dict.fromkeys(tuple(edits) for edits in sets):
            if wanted := missing(self._of(edits)):
                rounds.setdefault(wanted, []).append(edits)
        one = stream_bytes(self.loaded, self.ids.shape[1] - 1)
        for wanted, asked in rounds.items():
            for rows, some in waves(list(wanted), asked, one, room(self.loaded.device)):
                self._sweep(rows, some)

    def _sweep(self, rows: Sequence[int], sets: Sequence[tuple[Edit, ...]]) -> None:
        variants = [Variant(self.loaded, edits, *self.modules.under(edits), self.reference) for edits in sets]
        device = self.loaded.device
        targets = None if self.targets is None else self.targets[rows].to(device)
        swept = sweep(variants, self.ids[rows].to(device), lambda: self.progress(None, ""), targets)
        losses = [nll.double() for nll in swept]
        figures = torch.stack([torch.cat([nll.mean(-1, keepdim=True), bucket_sums(nll)], dim=1) for nll in losses])
        self.forward_passes += len(sets) * len(rows)
        for edits, found in zip(sets, figures.cpu().numpy(), strict=True):  # one copy to the host for all
            seen = self._of(edits)
            # A loss that is known stays as it is: the same sequence in another batch may differ in its last bits.
            fresh = np.array([not seen.known[i] for i in rows])
            at = np.array(rows)
            seen.losses[at[fresh]], seen.sums[at] = found[fresh, 0], found[:, 1:]
            seen.known[at] = seen.placed[at] = True
