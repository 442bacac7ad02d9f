"""Does the model know any text, and does it use its context? For a loss that may be a defect or a text it never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from diag.model.loaded import LoadedModel
from diag.model.plain_text import TEXTS
from diag.model.sweep import sweep
from diag.model.variants import as_loaded
from diag.progress import Progress, part, silent
from diag.results.yardstick import Yardstick, sound
from diag.units import LN2

Encode = Callable[[str], Sequence[int] | None]
"""A text as ids, or None where the tokenizer cannot spell it."""
NO_TEXT = "none: no tokenizer beside the checkpoint can encode it"

ONE_ID_TARGETS = 512  # of a sequence, evenly spread
BLOCK = 16  # ids whose order is changed, the last of each block apart: 1 target in 16 at the cost of one pass
TEXT_POSITIONS = 512  # longest sequence of a built-in text
_BATCH_IDS = 2_048


def measure_yardstick(
    loaded: LoadedModel,
    ids: np.ndarray,
    encode: Encode | None,
    parameters: int,
    progress: Progress = silent,
) -> Yardstick:
    """Bits per byte on built-in text, and what the context is worth on the window `ids`, int64 [sequences, seq + 1].

    One id: each of at most ONE_ID_TARGETS targets a sequence is predicted from the id before it alone. Shuffled: in
    each block of BLOCK inputs all but the last stand in random order (seed 0), and the id after each block is
    predicted; so every prediction still follows its own last id, at its own position, and has seen the same ids and
    none that come later. Both are compared with the loss of the same targets in their context, paired by sequence.
    Costs three passes over the window, whose own losses are needed one by one, and one over about 1,100 ids of text.
    `encode` must be the checkpoint's own tokenizer; ids without a row leave a text out.
    """
    bits = {}
    for name, text in TEXTS.items() if encode is not None else ():
        tokens = encode(text) if encode is not None else None
        if tokens is not None and len(tokens) > 1 and max(tokens) < loaded.rows:
            progress(0.0, f"Reading built-in text: {name}")
            bits[name] = bits_per_byte(loaded, tokens, text)
    named = min(bits, key=lambda name: (math.isnan(bits[name]), bits[name]), default="")
    best = bits[named] if named else None
    progress(0.05, "Predicting the window with less of its context")
    rows = torch.from_numpy(np.array(ids))
    whole = _losses(loaded, rows, part(progress, 0.05, 0.35))
    one, at = _one_id(loaded, rows, part(progress, 0.35, 0.65))
    shuffled, ends = _shuffled(loaded, rows, part(progress, 0.65, 1.0))
    gain, error = _paired(one - whole[:, at])
    order, order_error = _paired(shuffled - whole[:, ends])
    return Yardstick(
        bits_per_byte=best,
        text=named or NO_TEXT,
        sound=sound(best, parameters),
        window_nats=float(whole.mean()),
        one_id_nats=float(one.mean()),
        context_gain_nats=gain,
        context_gain_stderr=error,
        shuffled_nats=float(shuffled.mean()),
        order_gain_nats=order,
        order_gain_stderr=order_error,
        positions=whole.shape[1],
        sequences=len(rows),
        forward_passes=3 * len(rows) + len(bits),
    )


def bits_per_byte(loaded: LoadedModel, tokens: Sequence[int], text: str) -> float:
    """−log2 p of the tokens after the first, over the bytes of the text: a few bytes too many where the tokenizer puts
    no id of its own in front. One pass over the tokens, in sequences of at most TEXT_POSITIONS."""
    ids = np.array(tokens, dtype=np.int64)
    longest = min(TEXT_POSITIONS, loaded.positions or TEXT_POSITIONS)
    nats = 0.0
    for start in range(0, len(ids) - 1, longest):
        nats += float(_losses(loaded, torch.from_numpy(ids[None, start : start + longest + 1])).sum())
    return nats / LN2 / len(text.encode())


def _losses(loaded: LoadedModel, rows: Tensor, progress: Progress = silent) -> np.ndarray:
    """float64 [n, seq] of rows [n, seq + 1], in nats, about _BATCH_IDS ids at a time."""
    size = max(1, _BATCH_IDS // (rows.shape[1] - 1))
    parts = []
    for start in range(0, len(rows), size):
        nll = sweep([as_loaded(loaded)], rows[start : start + size].to(loaded.device))[0]
        parts.append(nll.double().cpu().numpy())
        progress(min(1.0, (start + size) / len(rows)), "")
    return np.concatenate(parts)


def _one_id(loaded: LoadedModel, rows: Tensor, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """(losses [sequences, targets] of each target behind one id, int64 [targets] their positions)."""
    positions = rows.shape[1] - 1
    at = np.unique(np.linspace(0, positions - 1, min(positions, ONE_ID_TARGETS)).astype(np.int64))
    pairs = torch.stack([rows[:, at], rows[:, at + 1]], dim=-1)  # [sequences, targets, 2]
    return _losses(loaded, pairs.flatten(0, 1), progress).reshape(len(rows), len(at)), at


def _shuffled(loaded: LoadedModel, rows: Tensor, progress: Progress) -> tuple[np.ndarray, np.ndarray]:
    """(losses [sequences, targets] with the ids before the last in random order, int64 [targets] their positions)."""
    positions = rows.shape[1] - 1
    block = min(BLOCK, positions)
    ends = np.arange(block - 1, positions, block)
    mixed = rows.clone()
    generator = np.random.default_rng(0)
    for row in mixed:
        for end in ends:
            inside = np.arange(end - block + 2, end)
            row[inside] = row[generator.permutation(inside)]
    return _losses(loaded, mixed, progress)[:, ends], ends


def _paired(differences: np.ndarray) -> tuple[float, float]:
    """(mean, standard error over sequences, NaN for one) of differences [sequences, targets]."""
    each = differences.mean(axis=1)
    error = float(each.std(ddof=1) / math.sqrt(len(each))) if len(each) > 1 else math.nan
    return float(each.mean()), error
