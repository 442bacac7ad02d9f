"""What the pages read from files, cached by path, size and time: summaries of kilobytes, never arrays of weights.

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

from diag.catalogue import Catalogue, Entry
from diag.checkpoints import Checkpoint, Tie, audit_checkpoint, open_checkpoint, tie_status
from diag.errors import InputError
from diag.jobs.inputs import embedding_rows, tokenizer_of

Array = npt.NDArray[np.float32]

MAX_ROWS = 2_000  # rows whose norms are read: evenly spread, so that 150 000 cost no more
_KEPT = 64  # cached answers of each kind, a few kB each


@dataclass(frozen=True)
class Head:
    """What a checkpoint's header says: embedding rows, layers, and the folder of its tokenizer if there is one."""

    rows: int
    layers: int
    family: str | None
    tokenizer_dir: str | None


@dataclass(frozen=True)
class CheckpointSummary:
    """A static audit. `audit` is the object of `checkpoint --json`; `tensors` one row per tensor."""

    audit: dict[str, Any]
    tie: Tie
    tensors: pd.DataFrame


def located(catalogue: Catalogue, entry: Entry) -> tuple[str, str]:
    """(path, stamp) of an entry for the functions below; InputError when it has gone or leads out of the roots."""
    return str(catalogue.resolve(entry.kind, entry.id)), entry.stamp


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def head(path: str, stamp: str) -> Head:
    """The header of a checkpoint: milliseconds."""
    checkpoint = open_checkpoint(Path(path))
    folder = checkpoint.tokenizer_dir
    return Head(
        rows=embedding_rows(checkpoint),
        layers=checkpoint.config.num_layers,
        family=checkpoint.family.name if checkpoint.family else None,
        # A tokenizer that cannot be used is none, as it is when a case is tested.
        tokenizer_dir=str(folder) if folder and tokenizer_of(checkpoint) else None,
    )


@st.cache_data(max_entries=_KEPT, show_spinner="Comparing head and embedding …")
def tie(path: str, stamp: str) -> Tie:
    """Tie status from bytes: about 1.5 s for 151,936 × 896."""
    return tie_status(open_checkpoint(Path(path)))


@st.cache_data(max_entries=_KEPT, show_spinner="Reading every tensor: about 4 s per 0.5 B parameters …")
def checkpoint_audit(path: str, stamp: str) -> CheckpointSummary:
    """The static audit with the statistics of every tensor; reads every byte twice."""
    audit = audit_checkpoint(open_checkpoint(Path(path)))
    columns = ["name", "dtype", "shape", "mean", "std", "rms", "min", "max", "zeros", "nonfinite", "row_norm_cv"]
    frame = pd.DataFrame([vars(stats) for stats in audit.stats], columns=columns)
    frame["shape"] = [" × ".join(str(n) for n in stats.shape) for stats in audit.stats]
    numbers = ["mean", "std", "rms", "min", "max", "zeros", "row_norm_cv"]
    frame[numbers] = frame[numbers].astype("float64")
    return CheckpointSummary(audit.to_json(), audit.tie, frame)


def tensor_table(path: str, stamp: str) -> pd.DataFrame:
    """Every tensor with its statistics, in name order. Shares are fractions, everything else the tensor's own unit."""
    return checkpoint_audit(path, stamp).tensors


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def row_norms(path: str, stamp: str) -> tuple[Array | None, Array | None]:
    """Norms of the same rows of (embedding, head), float32 [at most MAX_ROWS]; None for a matrix without data."""
    checkpoint = open_checkpoint(Path(path))
    if checkpoint.family is None:
        return None, None
    names = [checkpoint.family.roles[key].tensor() for key in ("embedding", "head") if key in checkpoint.family.roles]
    found = [_norms(checkpoint, name) for name in names]
    return found[0] if found else None, found[1] if len(found) > 1 else None


def _norms(checkpoint: Checkpoint, name: str) -> Array | None:
    info = checkpoint.tensors.get(name)
    if info is None or not info.elements or len(info.shape) != 2:
        return None
    rows, width = info.shape
    wanted = np.unique(np.linspace(0, rows - 1, min(rows, MAX_ROWS)).astype(np.int64))
    try:
        picked = [checkpoint.flat(name, row * width, (row + 1) * width) for row in wanted]
    except InputError:  # a type that is not read as numbers
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.square(np.stack(picked), dtype=np.float64).sum(axis=1)).astype(np.float32)
