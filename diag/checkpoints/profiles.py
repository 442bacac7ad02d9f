"""Norm profiles over the residual stream, for a matrix as the file orders it and for both other readings of its buffer.

A [out, in] matrix M whose order was confused comes in two forms, and neither changes the shape:
`reread`: M.reshape(in, out).T undoes a column-major buffer that was read as row-major;
`rewritten`: M.T.reshape(out, in) undoes a row-major buffer that somebody read as column-major and wrote again.
For a square matrix both are the plain transpose.
"""

from __future__ import annotations

import numpy as np

from diag.checkpoints.dtypes import Array
from diag.checkpoints.families import Side
from diag.checkpoints.reader import Checkpoint
from diag.checkpoints.scan import scan_tensor

READINGS = ("stored", "reread", "rewritten")
_TINY = 1e-30  # keeps the logarithm of a zero norm finite


def profiles(checkpoint: Checkpoint, name: str, side: Side) -> Array:
    """float64 [3, d]: the standardised log-norm profile of a matrix in each of READINGS.

    One number for each of the d residual dimensions: the norm of the column (`side` "columns") or row ("rows")
    that faces it, over finite elements. A constant profile is all zeros, so it correlates with nothing.
    Cost: the tensor is read once, or not at all after `scan_checkpoint`.
    """
    squares = scan_tensor(checkpoint, name, side).readings
    assert squares is not None
    with np.errstate(over="ignore", invalid="ignore"):
        logs = 0.5 * np.log(np.maximum(squares, _TINY))
        centred = logs - logs.mean(axis=1, keepdims=True)
        scale = centred.std(axis=1, keepdims=True)
        usable = np.isfinite(scale) & (scale > 1e-9)
        return np.where(usable, centred / np.where(usable, scale, 1.0), 0.0)
