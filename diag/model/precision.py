"""Forward passes in float64 throughout: transformers casts to float32 inside norms, softmax and rotary tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

WIDER = {torch.bfloat16: torch.float32, torch.float32: torch.float64, torch.float64: torch.float64}


class _Float64(TorchFunctionMode):
    """Whoever asks for float32 gets float64."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = {name: _wide(value) for name, value in (kwargs or {}).items()}
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*(_wide(value) for value in args), **given)


def _wide(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


def computing(dtype: torch.dtype) -> AbstractContextManager[Any]:
    """The context in which a forward pass in `dtype` runs: for float64 no step of it is rounded to float32."""
    return _Float64() if dtype == torch.float64 else nullcontext()
