"""Scales of 8-bit weights: a number for a tensor, for each row, or for each block, stored in a tensor of its own.

The weight is the stored number times its scale, whether that is called `weight_scale_inv` (DeepSeek-V3 and Qwen3-FP8,
blocks of 128 x 128) or `weight_scale` (compressed-tensors, one for a tensor or a row).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from diag.checkpoints.dtypes import Array

ENDINGS = ("_scale_inv", "_scale")  # behind the name of the weight
BLOCK = 128  # rows and columns, where config.json does not say


def names_of(weight: str) -> Iterator[str]:
    """What the scale of this tensor may be called."""
    return (weight + ending for ending in ENDINGS)


def weight_of(name: str) -> str | None:
    """The tensor that `name` would be the scale of; None for the name of no scale."""
    found = next((name[: -len(ending)] for ending in ENDINGS if name.endswith(ending)), None)
    return found if found and found.endswith("weight") else None


def stated_block(raw: Mapping[str, Any]) -> Any:
    """The size of a block that config.json states; untrusted, None where it is silent."""
    quantisation = raw.get("quantization_config")
    return quantisation.get("weight_block_size") if isinstance(quantisation, dict) else None


def block_of(weight: Sequence[int], scale: Sequence[int], stated: Any = None) -> tuple[int, int] | None:
    """(rows, columns) that share an element of a scale; None where it does not fit the weight. stated: what
    `stated_block` gave."""
    if len(weight) != 2 or len(scale) > 2 or 0 in (*weight, *scale):
        return None
    rows, columns = weight
    if all(n == 1 for n in scale):
        return rows, columns
    if tuple(scale) in ((rows,), (rows, 1)):
        return 1, columns
    if len(scale) != 2:
        return None
    sizes = [(BLOCK, BLOCK)]
    if isinstance(stated, list) and len(stated) == 2 and all(type(n) is int and n > 0 for n in stated):
        sizes.insert(0, (stated[0], stated[1]))
    if rows % scale[0] == 0 and columns % scale[1] == 0:
        sizes.append((rows // scale[0], columns // scale[1]))
    return next((b for b in sizes if (-(-rows // b[0]), -(-columns // b[1])) == tuple(scale)), None)


def multiply(values: Array, scales: Array, block: tuple[int, int]) -> None:
    """Multiply float32 [rows, columns], in place, by the scale of each block. Cost: a pass, and a row of memory."""
    (height, width), columns = block, values.shape[1]
    grid = scales.reshape(-(-values.shape[0] // height), -(-columns // width))
    for i, line in enumerate(grid):
        values[i * height : (i + 1) * height] *= line.repeat(width)[:columns]
