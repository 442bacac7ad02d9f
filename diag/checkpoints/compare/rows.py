"""Which rows of one checkpoint stand where in another: how a copied layer, exchanged tensors or a fused matrix that was
put together in the wrong order are told from numbers that mean nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from diag.checkpoints.compare.relations import digests
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.fold import split_layer
from diag.checkpoints.passes.rounding import coarsened
from diag.checkpoints.reader import Checkpoint
from diag.results.thresholds_checkpoints import GATHERED_ROWS


@dataclass(frozen=True)
class Found:
    """Where a tensor's rows stand in the other checkpoint. sources: tensors there, those with most rows first. whole:
    all rows of the only source, in its order."""

    sources: tuple[str, ...]
    whole: bool


@dataclass
class RowIndex:
    """Digests of the rows of a checkpoint, by row length, taken when first asked for.

    Cost: one pass over the tensors of that row length, about 5 ns an element, and 16 bytes a row.
    """

    there: Checkpoint
    _known: dict[tuple[int, str], tuple[Array, Array, Array, list[str]]] = field(default_factory=dict)

    def find(self, name: str, values: Array, dtype: str) -> Found | None:
        """Where the rows of `values` (float32, any shape, stored as `dtype`) stand; None where they do not, where rows
        cannot be told apart, or where they stand where they belong. A vector is one row."""
        rows = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values.reshape(1, -1)
        if coarsened(rows[:1], dtype, dtype) is None or not np.isfinite(rows).all():
            return None
        known, owner, place, names = self._of(rows.shape[1], dtype)
        mine = digests(rows, (dtype, dtype))[0]
        if not len(known) or len(np.unique(mine)) < max(1, len(mine) // 2):
            return None
        at = np.minimum(np.searchsorted(known, mine), len(known) - 1)
        hit = (known[at] == mine) & rows.any(axis=1)
        if hit.mean() < GATHERED_ROWS.value:
            return None
        owners, counts = np.unique(owner[at[hit]], return_counts=True)
        sources = tuple(names[owners[i]] for i in np.argsort(-counts))
        in_order = bool((place[at] == np.arange(len(rows))).all())
        if sources == (name,):
            return None
        whole = len(sources) == 1 and in_order and self.there.tensors[sources[0]].shape == values.shape
        return Found(sources, whole)

    def _of(self, width: int, dtype: str) -> tuple[Array, Array, Array, list[str]]:
        """(sorted digests, number of the tensor, row in it, names) of every row of this length."""
        if (width, dtype) not in self._known:
            names: list[str] = []
            parts, owners, places = [], [], []
            for name, info in self.there.tensors.items():
                if not info.elements or not info.shape or info.shape[-1] != width or len(info.shape) > 2:
                    continue
                if DTYPES[info.dtype].decode is None or coarsened(np.zeros(1, np.float32), dtype, info.dtype) is None:
                    continue
                rows = self.there.float32(name).reshape(-1, width)
                parts.append(digests(rows, (dtype, info.dtype))[0])
                owners.append(np.full(len(rows), len(names)))
                places.append(np.arange(len(rows)))
                names.append(name)
            joined = [np.concatenate(p) if p else np.empty(0, np.uint64) for p in (parts, owners, places)]
            order = np.argsort(joined[0], kind="stable")
            self._known[width, dtype] = (joined[0][order], joined[1][order], joined[2][order], names)
        return self._known[width, dtype]


def words(found: Found) -> str:
    """The sources in a clause: tensors by the last part of their name, and the layer."""
    if found.whole:
        return f"the values of {found.sources[0]} there"
    shown = ", ".join(found.sources[:3]) + (f" and {len(found.sources) - 3} more" if len(found.sources) > 3 else "")
    layers = {split_layer(name)[1] for name in found.sources}
    where = f" of layer {layers.pop()}" if len(layers) == 1 and None not in layers else ""
    return f"rows{where} of {shown}"
