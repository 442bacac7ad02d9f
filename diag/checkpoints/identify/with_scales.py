"""8-bit weights joined with their scales, so that a tensor reads as the numbers it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diag.checkpoints.dtypes import DTYPES, EIGHT_BIT_FLOATS
from diag.checkpoints.reader import StoredScale, TensorInfo
from diag.checkpoints.scales import block_of, names_of, stated_block


def with_scales(tensors: Mapping[str, TensorInfo], raw: Mapping[str, Any]) -> dict[str, TensorInfo]:
    """The tensors without the scales that belong to an 8-bit one and fit it; that one carries its scale. A scale that
    fits nothing stays a tensor, and the audit names it."""
    joined, used = dict(tensors), set()
    for name, info in tensors.items():
        scale = next((tensors[n] for n in names_of(name) if n in tensors), None)
        if info.dtype not in EIGHT_BIT_FLOATS or info.transform is not None or not info.elements or scale is None:
            continue
        block = block_of(info.shape, scale.shape, stated_block(raw))
        if block and scale.elements and scale.transform is None and DTYPES[scale.dtype].decode is not None:
            joined[name] = replace(info, scale=StoredScale(scale, block))
            used.add(scale.name)
    return {name: info for name, info in joined.items() if name not in used}
