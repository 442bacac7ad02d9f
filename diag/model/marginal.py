"""Does the model predict on average what occurs? Head rows that belong to other ids cannot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from diag.model.loaded import LoadedModel
from diag.model.sweep import hidden
from diag.model.variants import as_loaded
from diag.results.thresholds import COUNTED

_SEQUENCES, _POSITIONS = 4, 256  # enough for an average; more change the correlation by less than 0.02


@dataclass(frozen=True)
class MarginalFit:
    """Correlations of ln(mean predicted probability) with ln(count): with the ids as they are, and the highest with the
    rows `places` further down."""

    as_stored: float
    best: float
    places: int


@torch.inference_mode()
def marginal_fit(loaded: LoadedModel, ids: np.ndarray, counts: np.ndarray) -> MarginalFit | None:
    """How the average prediction follows the counts, over ids that occur at least COUNTED times.

    ids: int64 [sequences, seq + 1], a window. counts: int64 [rows or more], how often each id occurs in the shard.
    Nine sound models of 4,096 rows have 0.55 to 0.59; with the rows of the head 3 places off 0.29 to 0.34 as stored,
    and 0.55 to 0.59 three places on. None with fewer than 10 such ids, or where nothing is finite. Costs a pass over at
    most 4 sequences of 256 positions, and their logits one sequence at a time.
    """
    total = torch.zeros(loaded.rows, dtype=torch.float64)
    head = loaded.module.get_output_embeddings()  # type: ignore[operator]
    cap = getattr(loaded.module.config, "final_logit_softcapping", None)
    for stream in hidden(as_loaded(loaded), torch.tensor(ids[:_SEQUENCES, :_POSITIONS]).to(loaded.device)):
        logits = head(stream).float()  # [seq, rows]
        logits = cap * torch.tanh(logits / cap) if cap else logits
        total += logits.softmax(-1).mean(0).double().cpu()
    mean, often = total.numpy(), np.zeros(loaded.rows)
    often[: min(len(counts), loaded.rows)] = counts[: loaded.rows]
    known = often >= COUNTED.value
    if known.sum() < 10 or not np.isfinite(mean).all():
        return None
    logs = np.log(np.maximum(mean, 1e-30))
    fits = _around(logs, np.where(known, np.log(np.maximum(often, 1)), 0.0), known.astype(float))
    best = int(np.argmax(fits))
    return MarginalFit(float(fits[0]), float(fits[best]), best if best <= len(fits) // 2 else best - len(fits))


def _around(x: np.ndarray, y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[rows]: the correlation of x, k places on, with y, over the places that are known; by Fourier transforms."""

    def summed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """[rows]: Σ a[i + k] · b[i], around the end."""
        return np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), n=len(a))

    n = known.sum()
    mean_x, mean_y = summed(x, known) / n, y.sum() / n
    spread_x = np.sqrt(np.maximum(summed(x * x, known) / n - mean_x**2, 1e-12))
    spread_y = np.sqrt((y * y).sum() / n - mean_y**2) or 1.0
    fits: np.ndarray = (summed(x, y) / n - mean_x * mean_y) / (spread_x * spread_y)
    return fits
