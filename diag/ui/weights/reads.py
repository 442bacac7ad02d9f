"""What the weights page reads from checkpoints, cached by path and state: kilobytes, never arrays of weights.

Every cached function takes the path as text and a stamp; when the file changes, the stamp does, and it is read anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from diag.checkpoints import (
    Checkpoint,
    TensorDifference,
    TensorProfile,
    Tie,
    audit_checkpoint,
    compare_tensor,
    open_checkpoint,
    some_rows,
    sparkline,
    tensor_profile,
)
from diag.checkpoints.fold import split_layer
from diag.errors import InputError
from diag.ui.shell.contents import Place

Array = npt.NDArray[np.float32]

MAX_ROWS = 2_000  # rows whose norms are read: evenly spread, so that 150 000 cost no more
_KEPT = 64  # cached answers of each kind, a few kB each
_REAL = ["mean", "std", "rms", "min", "max", "zeros", "row_norm_cv"]
_NUMBERS = ["mean", "std", "rms", "min", "max", "zeros", "nonfinite", "row_norm_cv"]


@dataclass(frozen=True)
class CheckpointSummary:
    """A static audit. `audit` is the object of `checkpoint --json`; `tensors` one row per tensor: name, role,
    layer, dtype, shape, a histogram of 32 counts, then the statistics."""

    audit: dict[str, Any]
    tie: Tie
    tensors: pd.DataFrame


@st.cache_data(max_entries=_KEPT, show_spinner="Reading every tensor: about 4 s per 0.5 B parameters …")
def checkpoint_audit(path: str, stamp: str) -> CheckpointSummary:
    """The static audit with the statistics of every tensor; reads every byte twice."""
    checkpoint = open_checkpoint(Path(path))
    audit = audit_checkpoint(checkpoint)
    frame = pd.DataFrame([vars(stats) for stats in audit.stats], columns=["name", "dtype", "shape", *_NUMBERS])
    frame["shape"] = [" × ".join(str(n) for n in stats.shape) for stats in audit.stats]
    frame[_REAL] = frame[_REAL].astype("float64")
    places = [_place(checkpoint, stats.name) for stats in audit.stats]
    frame.insert(1, "role", [role for role, _ in places])
    frame.insert(2, "layer", pd.array([layer for _, layer in places], dtype="Int64"))
    sparks = [list(sparkline(checkpoint, stats.name, stats.rms)) for stats in audit.stats]
    frame.insert(5, "histogram", sparks)
    return CheckpointSummary(audit.to_json(), audit.tie, frame)


def tensor_table(path: str, stamp: str) -> pd.DataFrame:
    """Every tensor with its statistics, in name order. Shares are fractions, everything else the tensor's own unit."""
    return checkpoint_audit(path, stamp).tensors


@st.cache_data(max_entries=_KEPT, show_spinner="Reading the tensor …")
def tensor(path: str, stamp: str, name: str) -> TensorProfile:
    """One tensor in histograms and profiles: about 8 ns an element. InputError when it holds no numbers."""
    return tensor_profile(open_checkpoint(Path(path)), name)


@st.cache_data(max_entries=_KEPT, show_spinner="Comparing the tensor …")
def tensor_difference(here: Place, there: Place, name: str) -> TensorDifference | None:
    """One tensor against the same one of another checkpoint; None when that has none of this name."""
    mine, theirs = (open_checkpoint(Path(path)) for path, _ in (here, there))
    return compare_tensor(mine, theirs, name)


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def tie_rows(path: str, stamp: str) -> tuple[Array | None, Array | None, Array | None]:
    """Norms of the same rows of (embedding, head), and the cosine between the two rows: float32 [at most MAX_ROWS],
    evenly spread. None for what a file does not hold. Cosines are NaN where a row is zero."""
    checkpoint = open_checkpoint(Path(path))
    if checkpoint.family is None:
        return None, None, None
    names = [checkpoint.family.roles[key].tensor() for key in ("embedding", "head") if key in checkpoint.family.roles]
    rows = [_rows(checkpoint, name) for name in names]
    embedding, head = [*rows, None, None][:2]
    cosines = None
    if embedding is not None and head is not None and embedding.shape == head.shape:
        with np.errstate(all="ignore"):
            cosines = ((embedding * head).sum(axis=1) / (_norms(embedding) * _norms(head))).astype(np.float32)
    norms = [None if found is None else _norms(found).astype(np.float32) for found in (embedding, head)]
    return norms[0], norms[1], cosines


def _rows(checkpoint: Checkpoint, name: str) -> Any | None:
    """float64 [at most MAX_ROWS, width]."""
    info = checkpoint.tensors.get(name)
    if info is None or not info.elements or len(info.shape) != 2:
        return None
    wanted = np.unique(np.linspace(0, info.shape[0] - 1, min(info.shape[0], MAX_ROWS)).astype(np.int64))
    try:
        return some_rows(checkpoint, name, wanted).astype(np.float64)
    except InputError:  # a type that is not read as numbers
        return None


def _norms(rows: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.square(rows).sum(axis=1))


def _place(checkpoint: Checkpoint, name: str) -> tuple[str, int | None]:
    """The role that the family gives a tensor, and its layer; the last parts of its name for one without a role."""
    found = checkpoint.family.role_of(name) if checkpoint.family else None
    return found or (".".join(name.split(".")[-2:]), split_layer(name)[1])
