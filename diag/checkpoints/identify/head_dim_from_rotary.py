"""How wide one attention head is, seen in the trained Q and K of a model smaller than any published one.

The number of heads changes no shape, so a wrong guess loads without an error and predicts badly. What published models
of the same widths have (infer.py) answers for the sizes it was checked on; below them people train what they like.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.families import Family
from diag.checkpoints.identify.family import MAX_LAYERS
from diag.checkpoints.passes.scan import readable
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.signatures.rotary import cosines, sine
from diag.results.thresholds_checkpoints import HEAD_WIDTH_BELOW, MIN_SINE_RATIO, ROTARY_ERRORS, ROTARY_HEADS

WIDTHS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 256)
# The sine term of a pair of rows that is not turned together is noise, √2 of the mean |cosine|; at the true width it
# exceeds MIN_SINE_RATIO (measured on the trained models of docs/signatures.md). Twice the true width reaches the same
# values, because rows of one frequency resemble each other across heads: so the smallest width is taken.
MOST_ELEMENTS, MOST_READ = 1 << 20, 1 << 22  # of one matrix, of all: 16 MB of float32
# Where only a part of each head turns, the share of the family's transformers class.
ROTARY_SHARE = {"gpt_neox": 0.25}


def head_dim_from_rotary(checkpoint: Checkpoint, hidden: int, q: int, kv: int) -> int | None:
    """Rows of one head, as the pairs that rotary embedding turns show them; None where none stand out, as in a model
    that was never trained, has no rotary embedding, or keeps Q and K in adjacent-pair order.

    q, kv: rows of all queries and of all keys. The checkpoint needs a family and no model yet. Cost: Q and K of a few
    layers are read, about 10 ms; nothing from HEAD_WIDTH_BELOW on. Errors: InputError when the file became shorter.
    """
    family = checkpoint.family
    if family is None or family.defaults.rope_theta is None or not 0 < hidden < HEAD_WIDTH_BELOW.value:
        return None
    fits = [w for w in WIDTHS if q % w == 0 and kv % w == 0 and (q // w) % (kv // w) == 0]
    layers = list(_queries_and_keys(checkpoint, family, (q, kv, hidden))) if fits else []
    return next(
        (w for w in fits if layers and _pairs_exceed_noise(layers, w, ROTARY_SHARE.get(family.name, 1.0))), None
    )


def _pairs_exceed_noise(layers: list[tuple[Array, Array] | Array], width: int, share: float) -> bool:
    """Whether the pairs of rows of heads this wide stand out. In 1 of 300 random models some width did."""
    turned = int(width * share)
    if turned < 4 or turned % 2:
        return False
    values = np.concatenate([_terms(rows, width, turned) for rows in layers])
    if len(values) < ROTARY_HEADS.value or not np.isfinite(values).all():
        return False
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) > max(MIN_SINE_RATIO.value, math.sqrt(2) + ROTARY_ERRORS.value * error)


def _terms(rows: tuple[Array, Array] | Array, width: int, turned: int) -> Array:
    """float64 [heads]: the sine term of the pairs of heads this wide, in units of the mean |cosine|."""
    if isinstance(rows, tuple):
        q, k = (part.reshape(-1, width, part.shape[-1])[:, :turned] for part in rows)
    else:  # GPT-NeoX keeps q, k and v of one head together
        parts = rows.reshape(-1, 3, width, rows.shape[-1])[:, :, :turned]
        q, k = parts[:, 0], parts[:, 1]
    found, half = cosines(q, k), np.arange(turned // 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        term: Array = sine(found, half, half + len(half)) / np.abs(found).mean(axis=(1, 2))
    return term.astype(np.float64)


def _queries_and_keys(
    checkpoint: Checkpoint, family: Family, sizes: tuple[int, int, int]
) -> Iterator[tuple[Array, Array] | Array]:
    """(queries [q, hidden], keys [kv, hidden]) of the first layers; the fused matrix where the rows of a head lie
    together in it. sizes: (q, kv, hidden)."""
    q, kv, hidden = sizes
    separate, read = "q" in family.roles, 0
    rows = {"q": q, "k": kv} if separate else {"qkv": q + 2 * kv}
    for layer in range(MAX_LAYERS):
        infos = [(checkpoint.tensors.get(family.roles[key].tensor(layer)), (n, hidden)) for key, n in rows.items()]
        found = [i for i, shape in infos if i and i.shape == shape and 0 < i.elements <= MOST_ELEMENTS]
        if len(found) < len(infos) or not all(readable(i) for i in found) or read > MOST_READ:
            return
        parts = [checkpoint.float32(i.name) for i in found]
        read += sum(part.size for part in parts)
        if separate:
            yield parts[0], parts[1]
        elif family.grouped:  # Phi-3 stacks all queries, all keys, all values
            yield parts[0][:q], parts[0][q : q + kv]
        else:
            yield parts[0]
