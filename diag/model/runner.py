"""How one block runs: as transformers wrote it, or compiled once for all blocks of its kind.

Compiling what swaps parameters into one block (`functional_call` of block 0 with the tensors of block i) was seen to
use block 0's own, without a word (torch 2.11 to 2.13). So each block is called as the module that it is, its parameters
are inputs of the compiled graph, and the first two blocks of every kind are compared with the plain run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diag.model.loss import LOGITS_PER_CHUNK, chunk_nll
from diag.model.parts import Call
from diag.model.probes import tokenwise
from diag.model.shell import outer

# A compiled run's norm of differences from the plain one, over the norm of what comes out: rounding in another order.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 5e-3}
PATIENCE = 2e14  # floating-point operations: about a second of a large GPU, and compiling takes more than ten
COMPARED = 2  # blocks of a kind: with one, a graph that holds that block's own tensors would pass
Updates = tuple[str, str]  # the modules of a block whose outputs are added to the stream
# Of a block: the stream behind it, what its two updates gave, and the stream with the first of them.
POINTS = ("stream", "attention", "mlp", "middle")
Probed = tuple[Tensor, Tensor]  # the stream after a block, and figures of every token at POINTS


class Runner:
    """Runs blocks and reads out logits as they are written."""

    note: str | None = None  # what a record says of how it ran
    logits_per_chunk = LOGITS_PER_CHUNK

    def block(self, block: nn.Module, stream: Tensor, call: Call) -> Tensor:
        """The stream [batch, seq, d_model] after a block."""
        return _stream_after(block, stream, call.args, call.kwargs)

    def probed(self, block: nn.Module, stream: Tensor, call: Call, updates: Updates) -> Probed:
        """The same, with `probes.tokenwise` figures [6, POINTS, batch, seq]."""
        return _probed(_keeping(block, updates), stream, call.args, call.kwargs, updates)

    def nll(self, head: nn.Module, hidden: Tensor, targets: Tensor, cap: float | None) -> Tensor:
        """`chunk_nll`."""
        return chunk_nll(head, hidden, targets, cap)


class CompiledRunner(Runner):
    """The same, compiled by torch.compile for any number of sequences, once so much ran as it is written that compiling
    pays. What a compiler refuses, or gets wrong, runs as it is written from then on, and `note` says so.

    cache: where graphs are kept: about 13 s for the loss the first time and 9 s for figures, 6 s for both in a later
    process (H100, 0.5 B). patience: floating-point operations to wait for.
    """

    logits_per_chunk = 4 * LOGITS_PER_CHUNK  # a compiled loss holds them in the dtype of the head, once

    def __init__(self, cache: Path, patience: float = PATIENCE, backend: Any = "inductor") -> None:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache))
        torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)  # by family and length
        # Sizes are compared once, below, and need not be at every call.
        options: Any = {"size_asserts": False} if backend == "inductor" else None
        self._compiled = {f: torch.compile(f, fullgraph=True, backend=backend, options=options) for f in _COMPILED}
        self._compared: dict[Hashable, set[int]] = {}
        self._patience = patience

    def block(self, block: nn.Module, stream: Tensor, call: Call) -> Tensor:
        after: Tensor = self._run(_stream_after, block, stream, call.args, call.kwargs)
        return after

    def probed(self, block: nn.Module, stream: Tensor, call: Call, updates: Updates) -> Probed:
        found: Probed = self._run(_probed, _keeping(block, updates), stream, call.args, call.kwargs, updates)
        return found

    def nll(self, head: nn.Module, hidden: Tensor, targets: Tensor, cap: float | None) -> Tensor:
        nll: Tensor = self._run(chunk_nll, head, hidden, targets, cap)
        return nll

    def _run(self, plain: Callable[..., Any], module: nn.Module, x: Tensor, *more: Any) -> Any:
        if self._patience > 0:
            numbers = sum(p.numel() for p in module.parameters())
            self._patience -= 2.0 * numbers * x.numel() / x.shape[-1]
            return plain(module, x, *more)
        if self.note is not None or len(x) == 1:  # a batch of one would be a graph of its own
            return plain(module, x, *more)
        key = (plain, type(module), x.shape[1:], x.dtype)
        seen = self._compared.setdefault(key, set())
        for each in _tensors((x, *more)) if len(seen) < COMPARED else ():  # what is compiled stays so
            if len(each) == len(x):
                torch._dynamo.mark_dynamic(each, 0)
        try:
            out = self._compiled[plain](module, x, *more)
        except Exception as error:  # whatever a compiler raises, the plain run is right
            self.note = f"Blocks ran uncompiled: {type(error).__name__} from torch.compile."
            return plain(module, x, *more)
        if len(seen) < COMPARED and (own := id(next(module.parameters()))) not in seen:
            seen.add(own)
            like = plain(module, x, *more)
            if not _close(out, like, TOLERANCE[x.dtype]):
                self.note = f"Blocks ran uncompiled: what was compiled of {type(module).__name__} gave other numbers."
                return like
        return out


class _Kept(nn.Module):
    """A submodule that keeps what it gave last."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.kept: Tensor | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        out = self.inner(*args, **kwargs)
        self.kept = out[0] if isinstance(out, tuple) else out
        return out


def _keeping(block: nn.Module, updates: Updates) -> nn.Module:
    copy = outer(block)
    for name in updates:
        copy._modules[name] = _Kept(getattr(block, name))
    return copy


def _stream_after(block: nn.Module, stream: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    out = block(stream, *args, **kwargs)
    after: Tensor = out[0] if isinstance(out, tuple) else out
    return after


def _probed(
    block: nn.Module, stream: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any], updates: Updates
) -> Probed:
    after = _stream_after(block, stream, args, kwargs)
    attention, mlp = (getattr(block, name).kept for name in updates)
    every = (after, attention, mlp, stream + attention)
    if after.is_cuda:  # in the kernels of one
        return after, tokenwise(torch.stack(every))
    return after, torch.stack([tokenwise(x) for x in every], dim=1)


_COMPILED = (_stream_after, _probed, chunk_nll)


def _tensors(values: tuple[Any, ...]) -> list[Tensor]:
    """The tensors among values that go through a block or a loss with the stream."""
    flat = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
    return [each for each in flat if isinstance(each, Tensor) and each.ndim]


def _close(one: Any, other: Any, tolerance: float) -> bool:
    pairs = zip(one, other, strict=True) if isinstance(one, tuple) else [(one, other)]
    return all(_near(a, b, tolerance) for a, b in pairs)


def _near(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether two results are the same up to rounding; what is not finite must be so in both."""
    finite = a.isfinite() & b.isfinite()
    gap = torch.where(finite, a - b, 0.0).float().norm()
    size = torch.where(finite, b, 0.0).float().norm()
    return bool(torch.equal(a.isfinite(), b.isfinite()) and gap <= tolerance * size + 1e-30)
