"""Models that stay loaded between jobs: the latest used, up to a number of bytes. Imports torch.

The command line keeps none: a process that runs one case has no use for them. A worker, and `test --all`, whose
reference is the same for every case, say how much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace

import torch

from diag.checkpoints import Checkpoint
from diag.file_state import keeps_states
from diag.jobs.protocol import HeldModel
from diag.model.build import build, pick_device, pick_dtype
from diag.model.estimate import BYTES
from diag.model.loaded import LoadedModel
from diag.model.memory import free_bytes
from diag.results.thresholds_jobs import KEPT_MODELS


@dataclass(frozen=True)
class _Held:
    """settled: a record attests that the files were the same after the model was read as before."""

    model: LoadedModel
    name: str
    bytes: int
    settled: bool = False


class Models:
    """Keyed by the content of the checkpoint, device and dtype. Not for several threads: a worker has one job."""

    def __init__(self, workers: int = 0) -> None:
        """workers: how many processes divide the memory of this one's device among them; 0: keep nothing."""
        self._share = KEPT_MODELS.value / workers if workers else 0.0
        self._held: OrderedDict[Hashable, _Held] = OrderedDict()

    def of(self, checkpoint: Checkpoint, *, device: str, dtype: str, name: str = "") -> LoadedModel:
        """The checkpoint on the device: the one that is kept, or a new one. Nobody writes to it. Costs nothing where it
        is kept, but its fingerprint, which every record needs; else `build`. name: what the case calls it."""
        if not self._share or not all(keeps_states(s.device) for s in checkpoint.files_read.values() if s):
            return build(checkpoint, device=device, dtype=dtype)
        on = pick_device(device)
        key = (checkpoint.fingerprint, str(on), pick_dtype(dtype, on))
        if held := self._held.get(key):
            self._held.move_to_end(key)
            # What is read from files later is read from those of this case, which may lie elsewhere.
            return replace(held.model, checkpoint=checkpoint, seconds=0.0)
        free = free_bytes(on)
        self._make_room(checkpoint.parameters * BYTES[key[2]], free)
        model = build(checkpoint, device=device, dtype=dtype)
        size = sum(p.numel() * p.element_size() for p in {id(p): p for p in model.module.parameters()}.values())
        if model.layers is None and free is not None and size <= self._share * free:
            self._held[key] = _Held(model, name, size)
            self._trim(int(self._share * free))
        return model

    def settle(self, attested: bool) -> None:
        """A job is over. Without a record nothing says that what it loaded is what its fingerprint names: let go."""
        for key, held in list(self._held.items()):
            if attested:
                self._held[key] = replace(held, settled=True)
            elif not held.settled:
                del self._held[key]

    @property
    def held(self) -> tuple[HeldModel, ...]:
        """What is kept, the latest used first."""
        return tuple(HeldModel(h.name, h.model.dtype, h.bytes) for h in reversed(self._held.values()))

    def clear(self) -> None:
        """Let all go: the memory is needed."""
        self._held.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _make_room(self, needed: int, free: int | None) -> None:
        """Let go what was used longest ago until a model of that size has three times its size free."""
        while self._held and free is not None and free < 3 * needed:
            free += self._held.popitem(last=False)[1].bytes

    def _trim(self, most: int) -> None:
        while sum(h.bytes for h in self._held.values()) > most:
            self._held.popitem(last=False)


KEPT = Models()


def keep(workers: int) -> None:
    """From now on keep models in this process, which has its share of a device with so many workers."""
    global KEPT  # noqa: PLW0603
    KEPT = Models(workers)
