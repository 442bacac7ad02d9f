"""Tensors out of a file, on the CPU or straight to a device."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from diag.checkpoints import Checkpoint
from diag.errors import InputError
from diag.reading import fill, opened, shorter

TORCH_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
# Threads that read pieces of files into pinned memory, and from there to a GPU: one reads at about 3 GB/s.
THREADS, PIECE = 6, 8 << 20


class CheckpointTensors:
    """A checkpoint's tensors by name, read from the file when asked for: what reference repairs copy from."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint

    def tensor(self, name: str) -> Tensor:
        """The stored tensor on the CPU. A head that is not in the file is the embedding, as in every tied model."""
        roles = self.checkpoint.family.roles if self.checkpoint.family else {}
        if name not in self.checkpoint.tensors and roles and name == roles["head"].tensor():
            name = roles["embedding"].tensor()
        if name not in self.checkpoint.tensors:
            raise InputError("The reference has no such tensor.", where=name, fix="Pick one of the same family.")
        return stored_tensor(self.checkpoint, name)


def stored_tensor(checkpoint: Checkpoint, name: str) -> Tensor:
    """One tensor in its stored dtype, or in float32 where the file holds blocks or a transform is needed, copied out of
    the file. Costs its size in memory."""
    info = checkpoint.tensors[name]
    if info.transform is not None or info.dtype not in TORCH_DTYPES:
        return torch.from_numpy(checkpoint.float32(name))
    return torch.from_numpy(checkpoint.raw(name)).view(TORCH_DTYPES[info.dtype]).reshape(info.shape)


class DeviceReader:
    """Reads stored tensors into the memory of a device, in a compute dtype.

    On a GPU the bytes go through THREADS pieces of pinned memory, each on a stream of its own, so that reading and
    copying overlap; what `read` returns has arrived. Costs their bytes at about the speed of the page cache.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._here = threading.local()
        self._pool = ThreadPoolExecutor(THREADS, "tensor-reader") if device.type == "cuda" else None
        # Of its own, so that memory which kernels of another stream still read is never given out here.
        self._memory = _stream(device) if device.type == "cuda" else None

    def read(self, checkpoint: Checkpoint, names: Iterable[str]) -> dict[str, Tensor]:
        """{name: tensor on the device}. InputError where the file became shorter or holds no data for one."""
        if self._pool is None or self._memory is None:
            return {name: stored_tensor(checkpoint, name).to(self._dtype) for name in names}
        # Tensors of inference mode could not be filled by threads outside it.
        with torch.cuda.stream(self._memory), torch.inference_mode(False):
            bare = {name: self._room(checkpoint, name) for name in names}
            pieces = [
                self._pool.submit(self._piece, checkpoint, name, start, room)
                for name, room in bare.items()
                if room is not None
                for start in range(0, len(room), PIECE)
            ]
            for piece in pieces:
                piece.result()
            found = {name: self._typed(checkpoint, name, bare.pop(name)) for name in list(bare)}
            self._memory.synchronize()
        for tensor in found.values():
            tensor.record_stream(torch.cuda.current_stream(self._device))
        return found

    def _room(self, checkpoint: Checkpoint, name: str) -> Tensor | None:
        """uint8 for a tensor that is copied as it is stored; None for one that is made on the CPU."""
        info = checkpoint.tensors[name]
        as_stored = info.transform is None and info.scale is None and info.dtype in TORCH_DTYPES
        return torch.empty(info.nbytes, dtype=torch.uint8, device=self._device) if as_stored else None

    def _piece(self, checkpoint: Checkpoint, name: str, start: int, room: Tensor) -> None:
        info, here = checkpoint.tensors[name], self._here
        if not hasattr(here, "pinned"):
            here.pinned = torch.empty(PIECE, dtype=torch.uint8, pin_memory=True)
            here.stream = _stream(self._device)
        size = min(PIECE, len(room) - start)
        path = checkpoint.files[info.file]
        with opened(path) as file:
            if not fill(file, info.offset + start, here.pinned[:size].numpy()):
                raise shorter(path)
        with torch.cuda.stream(here.stream):
            room[start : start + size].copy_(here.pinned[:size], non_blocking=True)
        here.stream.synchronize()

    def _typed(self, checkpoint: Checkpoint, name: str, room: Tensor | None) -> Tensor:
        if room is None:
            return stored_tensor(checkpoint, name).to(device=self._device, dtype=self._dtype)
        info = checkpoint.tensors[name]
        return room.view(TORCH_DTYPES[info.dtype]).view(info.shape).to(self._dtype)


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
