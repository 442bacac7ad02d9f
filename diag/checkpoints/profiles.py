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

READINGS = ("stored", "reread", "rewritten")
_TINY = 1e-30  # keeps the logarithm of a zero norm finite


def profiles(checkpoint: Checkpoint, name: str, side: Side) -> Array:
    """float64 [3, d]: the standardised log-norm profile of a matrix in each of READINGS.

    One number for each of the d residual dimensions: the norm of the column (`side` "columns") or row ("rows")
    that faces it. A constant or non-finite profile is all zeros, so it correlates with nothing.
    Cost: the tensor is read twice; memory is at most one float32 of it, less for tall matrices.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        squares = (_columns if side == "columns" else _rows)(checkpoint, name)
        logs = 0.5 * np.log(np.maximum(squares, _TINY))
        centred = logs - logs.mean(axis=1, keepdims=True)
        scale = centred.std(axis=1, keepdims=True)
        usable = np.isfinite(scale) & (scale > 1e-9)
        return np.where(usable, centred / np.where(usable, scale, 1.0), 0.0)


def _columns(checkpoint: Checkpoint, name: str) -> Array:
    """Squared norms [3, in] of the columns of M [out, in] in each reading."""
    out, width = checkpoint.info(name).shape
    # M.T.reshape(out, in) has M[v, i] in column (i · out + v) mod in: rows v that agree modulo `in` may be added up.
    classes = np.zeros((min(out, width), width), np.float32)
    for first, piece in checkpoint.row_chunks(name):
        squares, done = np.square(piece), 0
        while done < len(squares):
            start = (first + done) % width
            take = min(width - start, len(squares) - done)
            classes[start : start + take] += squares[done : done + take]
            done += take
    v, i = np.arange(len(classes))[:, None], np.arange(width)[None, :]
    rewritten = np.bincount(((i * out + v) % width).ravel(), weights=classes.ravel(), minlength=width)
    stored = classes.sum(axis=0, dtype=np.float64)
    return np.stack([stored, _row_squares(checkpoint, name, out), rewritten])


def _rows(checkpoint: Checkpoint, name: str) -> Array:
    """Squared norms [3, out] of the rows of M [out, in] in each reading."""
    out, width = checkpoint.info(name).shape
    reread = np.zeros(out)
    for _, piece in checkpoint.row_chunks(name, columns=out):
        reread += np.square(piece).sum(axis=0, dtype=np.float64)
    stored, squares = np.zeros(out), np.empty((width, out), np.float32)
    for first, piece in checkpoint.row_chunks(name):
        part = np.square(piece)
        stored[first : first + len(part)] = part.sum(axis=1, dtype=np.float64)
        squares[:, first : first + len(part)] = part.T
    return np.stack([stored, reread, squares.reshape(out, width).sum(axis=1, dtype=np.float64)])


def _row_squares(checkpoint: Checkpoint, name: str, columns: int) -> Array:
    parts = [np.square(p).sum(axis=1, dtype=np.float64) for _, p in checkpoint.row_chunks(name, columns=columns)]
    return np.concatenate(parts)
