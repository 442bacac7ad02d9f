"""Blocks of a checkpoint larger than the device, read one at a time while the one before it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from diag.checkpoints import Checkpoint
from diag.model.parts import ENTRY, Parts
from diag.model.stored import DeviceReader

Names = Mapping[str, Tensor]


class LayerReader(Names):
    """The tensors of a model by their names in the file, those of blocks read when they are asked for.

    resident: what is held on the device: both ends, and what the file lacks. Memory: two layers, and a third while the
    device still works on it. A sweep asks for layers in their order, so it waits for the slower of reading and running.
    """

    def __init__(self, checkpoint: Checkpoint, parts: Parts, resident: Names, reader: DeviceReader) -> None:
        self._checkpoint, self._parts, self._resident, self._reader = checkpoint, parts, resident, reader
        self._place = {name: part for part, names in parts.names.items() for name in names}
        self._ahead = ThreadPoolExecutor(1, "layer-ahead")
        self._next: tuple[int, Future[dict[str, Tensor]]] | None = None
        self._now: tuple[int, dict[str, Tensor]] = (ENTRY, {})

    def layer(self, number: int) -> dict[str, Tensor]:
        """{name within the block: tensor on the device}; the next layer is read meanwhile."""
        if self._now[0] != number:
            ahead, self._next, self._now = self._next, None, (ENTRY, {})
            if ahead and ahead[0] != number:
                ahead[1].cancel()
            found = ahead[1].result() if ahead and ahead[0] == number else self._read(number)
            self._now = (number, found)
            after = (number + 1) % self._parts.exit
            self._next = (after, self._ahead.submit(self._read, after))
            for tensor in found.values():
                if tensor.is_cuda:
                    tensor.record_stream(torch.cuda.current_stream(tensor.device))
        own = self._parts.names[number]
        return {own[name]: tensor for name, tensor in self._now[1].items()}

    def __getitem__(self, name: str) -> Tensor:
        if name in self._resident:
            return self._resident[name]
        if self._place[name] == self._now[0]:
            return self._now[1][name]
        return self._reader.read(self._checkpoint, [name])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def _read(self, number: int) -> dict[str, Tensor]:
        names = [name for name in self._parts.names[number] if name not in self._resident]
        return self._reader.read(self._checkpoint, names)
