"""Summaries of finished files, on disk: an audit of a folder goes on where it stopped, and a second one reads no ids.

A cache and nothing more: whatever in it cannot be read is counted again, and it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from diag.file_state import state_of
from diag.listing import companion_names
from diag.shards.counting.anchors import Anchors
from diag.shards.counting.counts import IdCounts, Int64
from diag.shards.counting.documents import BUCKETS, Documents
from diag.shards.counting.summary import LongestRun, Plan, ShardSummary
from diag.shards.formats.registry import FORMATS
from diag.shards.reader import TokenDataset

VERSION = 4  # of the layout below and of what the numbers mean: a change of either makes old files unknown
MAX_BYTES = 2 << 30  # about 3,000 files of a 150,000-entry vocabulary; the least recently used go first
_SUFFIX = ".summary.npz"
# What lies beside one file and says where documents end.
_COMPANIONS = [pattern for row in FORMATS for pattern in row.companions if "{" in pattern]
_RUN = ("length", "id", "file", "position")


class Store:
    """Summaries below one folder, which is made when first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str, plan: Plan) -> ShardSummary | None:
        """The summary kept under this key; None if there is none or it is damaged."""
        path = self._path(key)
        try:
            summary = read_summary(path, plan)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, MemoryError):
            return None
        with suppress(OSError):
            os.utime(path)  # lately used
        return summary

    def put(self, key: str, summary: ShardSummary) -> None:
        """Keep it. A full or read-only disk is no error: the summary is then made again next time."""
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as stream:
                    write_summary(stream, summary)
                Path(name).replace(self._path(key))
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def prune(self, most_bytes: int = MAX_BYTES) -> None:
        """Delete the least recently used summaries until the rest fits, and what a killed process left behind."""
        with suppress(OSError):
            kept = sorted(((f.stat().st_mtime, f.stat().st_size, f) for f in self.folder.iterdir()), reverse=True)
            room = most_bytes
            for _, size, file in kept:
                room -= size
                if room < 0 and file.name.endswith((_SUFFIX, ".part")):
                    file.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"


def write_summary(stream: BinaryIO, summary: ShardSummary) -> None:
    """As .npz, without pickle: about 4 bytes an entry of the table up to the last in use."""
    np.savez(stream, **_packed(summary))  # type: ignore[arg-type]  # its stubs know no ** of arrays


def read_summary(source: Path | BinaryIO, plan: Plan) -> ShardSummary:
    """What write_summary wrote, made with the same plan; any of numpy's and zipfile's errors if it is damaged."""
    with np.load(source, allow_pickle=False) as kept:
        return _unpacked(kept, plan)


def key_of(dataset: TokenDataset, index: int, plan: Plan, first: int) -> str:
    """Names the summary of the first `first` ids of a file: changes with its place, state, reading and plan."""
    path = dataset.shards[index].path
    companions = [path.with_name(name) for name in companion_names(_COMPANIONS, path)]
    stamps = [(file.name, state.stamp) for file in (path, *companions) if (state := state_of(file))]
    reading = (dataset.format, dataset.dtype, dataset.byte_order, dataset.offset, dataset.shards[index].tokens)
    what = [VERSION, str(path.resolve()), stamps, reading, first, plan.size, plan.separators]
    return hashlib.sha256(json.dumps(what).encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _packed(summary: ShardSummary) -> dict[str, npt.NDArray[Any]]:
    counts = summary.counts
    dense = counts.counts[: counts.used]
    small = not len(dense) or int(dense.max()) < 1 << 32
    packed: dict[str, npt.NDArray[Any]] = {
        "counts": dense.astype(np.uint32) if small else dense,
        "stray_ids": counts.stray_ids,
        "stray_counts": counts.stray_counts,
        "scalars": np.array([counts.untracked, counts.negative, counts.max_id], dtype=np.int64),
    }
    if summary.run:
        packed["run"] = np.array([getattr(summary.run, name) for name in _RUN], dtype=np.int64)
    if summary.stated:
        packed["stated"] = _flat(summary.stated)
    sample = summary.anchors
    packed |= {"level": np.array([sample.level]), "pairs": sample.pairs, "digests": sample.digests}
    packed |= {"passages": sample.passages, "positions": sample.positions}
    return packed | {f"separator_{id}": _flat(documents) for id, documents in summary.separated.items()}


def _unpacked(kept: np.lib.npyio.NpzFile, plan: Plan) -> ShardSummary:
    dense = np.zeros(plan.size, dtype=np.int64)
    dense[: len(kept["counts"])] = kept["counts"]
    untracked, negative, max_id = (int(value) for value in kept["scalars"])
    counts = IdCounts(dense, kept["stray_ids"], kept["stray_counts"], untracked, negative, max_id)
    run = LongestRun(*(int(value) for value in kept["run"])) if "run" in kept else None
    stated = _documents(kept["stated"]) if "stated" in kept else None
    cut = {id: _documents(kept[f"separator_{id}"]) for id in plan.separators}
    positions = kept["positions"]
    sample = (kept["pairs"], kept["digests"], kept["passages"])
    anchors = Anchors(int(kept["level"][0]), *sample, np.zeros_like(positions), positions)
    return ShardSummary(counts, run, stated, cut, anchors)


def _flat(documents: Documents) -> Int64:
    sums = [documents.documents, documents.tokens, documents.shortest, documents.longest]
    return np.concatenate([np.array(sums, dtype=np.int64), documents.histogram])


def _documents(flat: Int64) -> Documents:
    if len(flat) != BUCKETS + 4:
        raise ValueError("no tally of documents")
    return Documents(flat[4:], *(int(value) for value in flat[:4]))
