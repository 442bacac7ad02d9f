"""Tensors are rounded to a stored type and back: what a quantised copy of them must cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diag.checkpoints.dtypes import EIGHT_BIT_FLOATS
from diag.checkpoints.ggml import rounded
from diag.checkpoints.signatures.grid import on_grid
from diag.model.edits.base import Named, Now, TensorSource, named
from diag.units import percent

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RoundTo(Named):
    """Each named tensor becomes what the stored type `dtype` leaves of it, or what an even grid leaves that loses
    this share of its norm. A type that nothing here can write leaves it as it is."""

    dtype: str | float
    order = 2

    @property
    def sentence(self) -> str:
        to = f"a grid that loses {percent(self.dtype)}" if isinstance(self.dtype, float) else self.dtype
        return f"{named(self.names)} rounded to {to}."

    def tensors(self, now: Now, reference: TensorSource | None) -> Iterator[tuple[str, Tensor]]:
        for name in self.names:
            left = _left(now(name), self.dtype)
            if left is not None:
                yield name, left


def _left(value: Tensor, dtype: str | float) -> Tensor | None:
    import torch

    plain = {"F16": torch.float16, "BF16": torch.bfloat16}
    if dtype in plain:
        return value.to(plain[dtype]).to(value.dtype)
    if dtype in EIGHT_BIT_FLOATS:
        return _through_eight_bits(value, dtype)
    values = value.float().cpu().numpy()
    found = on_grid(values, dtype) if isinstance(dtype, float) else rounded(values, dtype)
    return None if found is None else torch.from_numpy(found)


def _through_eight_bits(value: Tensor, dtype: str) -> Tensor:
    """An 8-bit float and back, with one scale for the tensor: with one for each block the error of a value is the
    same, but for the smallest."""
    import torch

    kinds = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}
    scale = value.abs().max().float().clamp(min=1e-30) / EIGHT_BIT_FLOATS[dtype]
    return ((value.float() / scale).to(kinds[dtype]).float() * scale).to(value.dtype)
