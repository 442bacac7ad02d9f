"""A name for the content of weight files: SHA-256 over the SHA-256 of each piece of a file.

Why pieces: one SHA-256 over a file runs on one core, and takes longer for a gigabyte than everything else the audit
does; a list of digests is as hard to forge and uses both. A faster checksum would do against accidents, but records
name their inputs by this, and people rely on it after the files have changed hands.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from diag.errors import Cancelled, InputError
from diag.file_state import FileState, changed, keeps_states, state_of

PIECE_BYTES = 1 << 26  # part of the definition: another size gives other names
THREADS = 2
_READ_BYTES = 1 << 18  # hashed while it is still in the core's cache
_buffers = threading.local()


_known: dict[tuple[Path, FileState], str] = {}


def content_digest(file: Path, stop: threading.Event | None = None) -> str:
    """Hex digest of a file. Cost: about 0.35 s a GB on two cores with SHA instructions; remembered in this process
    while the file's state stays the same, on file systems that keep one. `stop` ends it early. Errors: InputError when
    the file is gone, or changes while it is read; Cancelled after `stop`.
    """
    state = state_of(file)
    if state is None:
        raise InputError("the file is gone, or may not be read.", where=str(file), fix="Open it again.")
    if (file, state) in _known:
        return _known[file, state]
    starts = range(0, state.size, PIECE_BYTES)

    def piece(start: int) -> bytes:
        if stop is not None and stop.is_set():
            raise Cancelled
        return _piece(file, start, min(state.size, start + PIECE_BYTES))

    with ThreadPoolExecutor(THREADS) as pool:
        digest = hashlib.sha256(b"".join(pool.map(piece, starts))).hexdigest()
    if state_of(file) != state:
        raise changed(file)
    if keeps_states(state.device):
        _known[file, state] = digest
    return digest


@contextmanager
def in_background(files: Sequence[Path]) -> Iterator[Future[list[str]]]:
    """The digests of some files, taken while the block runs; leaving it by an exception ends the work."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(1)
    try:
        yield pool.submit(lambda: [content_digest(file, stop) for file in files])
    finally:
        stop.set()
        pool.shutdown()


def _piece(file: Path, start: int, stop: int) -> bytes:
    digest = hashlib.sha256()
    if not hasattr(_buffers, "view"):
        _buffers.view = memoryview(bytearray(_READ_BYTES))
    view: memoryview = _buffers.view
    with file.open("rb", buffering=0) as stream:
        stream.seek(start)
        while start < stop:
            got = stream.readinto(view[: stop - start])
            if not got:
                raise InputError("the file became shorter while it was read.", where=str(file), fix="Open it again.")
            digest.update(view[:got])
            start += got
    return digest.digest()
