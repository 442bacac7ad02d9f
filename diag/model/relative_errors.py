"""Relative errors of activations: sums of squares on the device, and what they say in the end."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import cast

import numpy as np
import torch
from torch import Tensor

from diag.results.divergence import ComponentError
from diag.results.thresholds import DIVERGES_FLOOR

Key = tuple[int | None, str, str]  # layer, component, tensor


@dataclass(frozen=True)
class Sums:
    """Sums of squares of one component over a batch, float64 on the device: its own difference and its values by
    position, [seq]; what noise makes of it; and difference and norm of what goes in and comes out along both runs, [4].
    """

    own: Tensor
    norm: Tensor
    floor: Tensor
    moved: Tensor

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def _less(a: Tensor, b: Tensor | None) -> Tensor:
    """a − b, or a, in float32 at least."""
    wide = torch.promote_types(a.dtype, torch.float32)
    return a.to(wide) if b is None else a.to(wide) - b


def square(a: Tensor, b: Tensor | None = None) -> Tensor:
    """The squared norm of a tensor, or of the difference of two, float64."""
    return cast(Tensor, torch.linalg.vector_norm(_less(a, b))).double().square()


def by_position(a: Tensor, b: Tensor | None, seq: int) -> Tensor:
    """The same by position, [seq]. Norms on queries and keys may see [batch, heads, seq, width]."""
    less = _less(a, b) if a.shape[1] == seq else _less(a, b).transpose(1, 2)
    return cast(Tensor, torch.linalg.vector_norm(less, dim=(0, *range(2, less.ndim)))).double().square()


def along(x: Tensor, y: Tensor, out: Tensor, their_out: Tensor) -> Tensor:
    """The squared differences and norms of what goes in, x and y, and of what comes out, along both runs, [4]."""
    return torch.stack([square(y, x), square(x), square(their_out, out), square(out)])


def rounding(dtype: torch.dtype) -> float:
    """About what rounding a tensor to `dtype` once changes, relative to its norm; of float64, which has no wider type
    to be compared with, what a product does."""
    return torch.finfo(dtype).eps / (1 if dtype == torch.float64 else 8)


def component_error(key: Key, sums: Sums, least: float) -> ComponentError:
    """What the sums of a component say; its noise floor is at least `least`. Waits for the device."""
    own, norm = sums.own.cpu().numpy(), sums.norm.cpu().numpy()
    diff_in, norm_in, diff_out, norm_out = sums.moved.tolist()
    floor = max(least, _relative(float(sums.floor), float(norm.sum())))
    loud = np.flatnonzero(~(own <= (DIVERGES_FLOOR.value * floor) ** 2 * norm))
    return ComponentError(
        layer=key[0],
        component=key[1],
        tensor=key[2],
        own=_relative(float(own.sum()), float(norm.sum())),
        floor=floor,
        error_in=_relative(diff_in, norm_in),
        error_out=_relative(diff_out, norm_out),
        position=int(loud[0]) if len(loud) else None,
    )


def _relative(square: float, norm: float) -> float:
    """√(square ÷ norm); infinite where either is not finite, or something differs from nothing."""
    if square == 0:
        return 0.0
    return math.sqrt(square / norm) if math.isfinite(square) and math.isfinite(norm) and norm > 0 else math.inf
