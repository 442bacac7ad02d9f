"""Where text lies when the share of each id is drawn over its rank: Zipf's law as Mandelbrot put it, and how far
tokenised text strays from it.

Share of rank r ∝ 1 / (r + 2.7), summing to 1 over the vocabulary (Mandelbrot 1953; exponent 1 and shift 2.7 as in
Piantadosi 2014, "Zipf's word frequency law in natural language", Psychon Bull Rev 21). The demo's shard of Python
source and ten others (byte-level BPE, SentencePiece BPE and unigram, WordPiece; code, prose, Chinese; 8,192 entries,
0.2 to 0.4 M ids) lie within a factor of 3 of it from rank 3 to 500. The two most frequent ids reach 5.5 times it; in
the tail, text of one kind falls below, because it does not use all of its tokenizer's entries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SHIFT = 2.7
FACTOR = 3.0
_POINTS = 40

Float64 = npt.NDArray[np.float64]


def healthy_band(entries: int) -> tuple[Float64, Float64, Float64]:
    """(rank, low, high) for a vocabulary of `entries`, each float64 [at most 40]: the share of all tokens."""
    every = np.arange(1, max(2, entries) + 1, dtype=np.float64)
    law = 1 / (every + SHIFT)
    law /= law.sum()
    at = np.unique(np.geomspace(1, len(every), _POINTS).round().astype(np.int64)) - 1
    return every[at], law[at] / FACTOR, np.minimum(1.0, law[at] * FACTOR)
