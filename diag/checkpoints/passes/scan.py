"""One pass over each tensor, two tensors at a time: every number that the audit is made of.

The result does not depend on the threads: a tensor is read by one of them, from its first row to its last.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from diag import jit
from diag.checkpoints.dtypes import DTYPES, Array
from diag.checkpoints.passes import kernels
from diag.checkpoints.passes.sums import RunningSums, flattened
from diag.checkpoints.reader import Checkpoint, TensorInfo
from diag.errors import Cancelled
from diag.progress import Progress, silent
from diag.reading import fill, opened, shorter
from diag.results.thresholds_checkpoints import CONSTANT_ROW_LENGTH

THREADS = 2
PIECE = 1 << 18  # elements looked at together: 1 MiB of float32, which stays in a core's cache
# numba takes half a second to import: below this, NumPy is done earlier.
COMPILED_FROM = 1 << 24
SAMPLE = 1 << 12  # values kept for the histogram of a tensor
BINS, SPAN = 32, 4.0  # the histogram: bins over ± SPAN root mean squares, the outer ones open
_WIDE = 1 << 20  # a single row longer than this is looked at in stretches
_HALVES = ("BF16", "F16")


@dataclass(frozen=True, eq=False)
class TensorScan:
    """One tensor, seen as [lines, width] with its last dimension as width. Values that are not finite are counted and
    otherwise left out. Units are the tensor's own.

    count: finite elements. total, squares: their sum and sum of squares. range: smallest and largest, None without any.
    row_squares [lines], column_squares [width]: squared norms (columns: None for a single row).
    constant_rows: lines of CONSTANT_ROW_LENGTH or more elements that hold one value, not 0, each.
    histogram: int64 [BINS] of at most SAMPLE evenly spaced values, over ± SPAN root mean squares.
    digest: equal for equal tensors of one dtype and shape; different ones share it only where all these sums agree.
    """

    name: str
    count: int
    nonfinite: int
    zeros: int
    total: float
    squares: float
    range: tuple[float, float] | None
    row_squares: Array
    column_squares: Array | None
    constant_rows: int
    histogram: Array
    digest: bytes


_ALONE = threading.Lock()
_THREAD = threading.local()  # ends with the thread, and so do its buffers
_KEPT: WeakKeyDictionary[Checkpoint, dict[str, TensorScan]] = WeakKeyDictionary()


def scan_checkpoint(checkpoint: Checkpoint, progress: Progress = silent) -> Mapping[str, TensorScan]:
    """Every tensor that holds numbers, by name.

    Cost: each byte is read once, 0.25 s for 0.5 B parameters of bfloat16 on two cores; a few MB of memory, or a float32
    of each tensor at work where blocks or a transform must be undone. What is found is kept as long as the checkpoint
    is open: 8 bytes a row and column. Errors: InputError when a file became shorter; whatever `progress` raises stops
    the work.
    """
    kept = _KEPT.setdefault(checkpoint, {})
    todo = [info for info in checkpoint.tensors.values() if info.name not in kept and readable(info)]
    todo.sort(key=lambda info: -info.nbytes)  # the largest first, so that both threads end together
    total, stop = sum(info.nbytes for info in todo) or 1, threading.Event()
    done = _Counter()
    progress(0.0, "reading every tensor")
    pool = ThreadPoolExecutor(THREADS)
    try:
        pending = {pool.submit(_scan, checkpoint, info, done, stop) for info in todo}
        while pending:
            finished, pending = wait(pending, timeout=0.1, return_when=FIRST_EXCEPTION)
            for future in finished:
                scan = future.result()
                kept[scan.name] = scan
            progress(min(1.0, done.value / total), "reading every tensor")
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
    progress(1.0, "read every tensor")
    return kept


def scan_tensor(checkpoint: Checkpoint, name: str) -> TensorScan:
    """One tensor, from what is kept or read now. Errors: as above, and for a tensor that holds no numbers."""
    kept = _KEPT.setdefault(checkpoint, {})
    if name not in kept:
        kept[name] = _scan(checkpoint, checkpoint.info(name), _Counter(), threading.Event())
    return kept[name]


def use_numba(checkpoint: Checkpoint) -> bool:
    """Whether its tensors are worth compiled loops."""
    return jit.available() and checkpoint.parameters >= COMPILED_FROM


def readable(info: TensorInfo) -> bool:
    """Whether the tensor has data that can be read as numbers."""
    return bool(info.elements) and DTYPES[info.dtype].decode is not None


class _Counter:
    """Bytes looked at so far, by all threads; a lost update only delays a progress bar."""

    value = 0


def _scan(checkpoint: Checkpoint, info: TensorInfo, done: _Counter, stop: threading.Event) -> TensorScan:
    lines, width = flattened(info.shape)
    compiled = use_numba(checkpoint)
    add = kernels.compiled_add_rows() if compiled else kernels.add_rows_numpy
    stretch = _in_stretches(info)
    sums = RunningSums.empty(*((1, PIECE) if stretch else (lines, width)))
    step, sample = -(-info.elements // SAMPLE), []
    at = constant = 0
    # A tensor that can only be decoded whole is held alone: two large ones at once would double the peak of memory.
    with np.errstate(over="ignore", invalid="ignore"), _ALONE if _held_whole(info) else nullcontext():
        for first, piece in pieces(checkpoint, info, compiled):
            if stop.is_set():
                raise Cancelled
            sample.append(piece.reshape(-1)[-at % step :: step].copy())
            constant += 0 if stretch else _constant_rows(piece)
            if stretch:
                row = sums.rows[0]
                add(piece, 0, sums._replace(columns=sums.columns[: piece.size]))
                sums.rows[0] += row
            else:
                add(piece, first, sums)
            at += piece.size
            done.value += piece.size * info.nbytes // info.elements
    return _finished(info, sums, constant, np.concatenate(sample))


def _constant_rows(piece: Array) -> int:
    """Rows are compared whole only where the first element equals the last: one in hundreds."""
    if piece.shape[1] < CONSTANT_ROW_LENGTH.value:
        return 0
    first = piece[:, 0]
    return sum(bool(first[row] and (piece[row] == first[row]).all()) for row in np.flatnonzero(first == piece[:, -1]))


def _finished(info: TensorInfo, sums: RunningSums, constant: int, sample: Array) -> TensorScan:
    zeros, nonfinite = (int(n) for n in sums.counts)
    count = info.elements - nonfinite
    facts = sums.rows.tobytes() + sums.totals.tobytes() + sums.counts.tobytes() + sums.extremes.tobytes()
    return TensorScan(
        name=info.name,
        count=count,
        nonfinite=nonfinite,
        zeros=zeros,
        total=float(sums.totals[0]),
        squares=float(sums.totals[1]),
        range=sums.range,
        row_squares=sums.rows,
        column_squares=sums.columns if len(sums.rows) > 1 else None,
        constant_rows=constant,
        histogram=histogram(sample, float(sums.totals[1]) / count if count else 0.0),
        digest=hashlib.blake2b(f"{info.dtype} {info.shape}".encode() + facts, digest_size=8).digest(),
    )


def histogram(values: Array, mean_square: float) -> Array:
    """int64 [BINS]: how many finite values lie in each bin over ± SPAN root mean squares; the outer bins are open."""
    scaled = values[np.isfinite(values)].astype(np.float64)
    if mean_square > 0:
        scaled *= BINS / (2 * SPAN) / np.sqrt(mean_square)
    return np.bincount(np.clip(scaled + BINS / 2, 0, BINS - 1).astype(np.int64), minlength=BINS)


def _scratch(key: str, size: int, dtype: type) -> Array:
    """This thread's buffer of that name, at least `size` long: fresh memory would cost as much as reading."""
    held: Array | None = getattr(_THREAD, key, None)
    if held is None or len(held) < size:
        held = np.empty(max(size, PIECE), dtype)
        setattr(_THREAD, key, held)
    return held


def _held_whole(info: TensorInfo) -> bool:
    """Whether Checkpoint.row_chunks cannot but decode the tensor in one piece."""
    kind = DTYPES[info.dtype]
    return info.changes or bool(kind.whole) or not kind.rows


def _in_stretches(info: TensorInfo) -> bool:
    """Whether the tensor is one row, too long to be held whole."""
    lines, width = flattened(info.shape)
    return lines == 1 and width > _WIDE and info.streams


def direct(info: TensorInfo, compiled: bool) -> bool:
    """Whether `pieces` reads the tensor into its own buffers; otherwise they come from Checkpoint.row_chunks."""
    return info.streams and (info.dtype == "F32" or (compiled and info.dtype in _HALVES))


def pieces(checkpoint: Checkpoint, info: TensorInfo, compiled: bool, key: str = "") -> Iterator[tuple[int, Array]]:
    """(first line, float32 [lines, width], writable and reused by the next piece) over the tensor.

    compiled: whether compiled code may decode it. key: names the buffers, for a caller that reads two tensors side by
    side."""
    if _in_stretches(info):
        for start in range(0, info.elements, PIECE):
            piece = checkpoint.flat(info.name, start, start + PIECE).reshape(1, -1)
            yield 0, piece
        return
    lines, width = flattened(info.shape)
    if not direct(info, compiled):
        for first, piece in checkpoint.row_chunks(info.name):
            yield first, piece
        return
    step = min(lines, max(1, PIECE // width))
    bits = _scratch("bits" + key, step * width, np.uint32)
    stored = bits if info.dtype == "F32" else _scratch("stored" + key, step * width, np.uint16)
    size = stored.itemsize
    file = checkpoint.files[info.file]
    with opened(file) as stream:
        for first in range(0, lines, step):
            n = min(step, lines - first) * width
            if not fill(stream, info.offset + first * width * size, stored[:n]):
                raise shorter(file)
            if stored is not bits:
                kernels.widen()(stored[:n], bits[:n], info.dtype == "F16")
            yield first, bits[:n].view(np.float32).reshape(-1, width)
