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

PIECE_BYTES = 1 << 26  # part of the definition: another size gives other names
THREADS = 2
_READ_BYTES = 1 << 18  # hashed while it is still in the core's cache
_buffers = threading.local()


_known: dict[tuple[Path, int, int], str] = {}


def content_digest(file: Path, stop: threading.Event | None = None) -> str:
    """Hex digest of a file. Cost: about 0.35 s a GB on two cores with SHA instructions; remembered in this process
    while path, size and modification time stay the same. `stop` ends it early. Errors: InputError when the file
    becomes shorter; Cancelled after `stop`.
    """
    stat = file.stat()
    key = (file, stat.st_size, stat.st_mtime_ns)
    if key not in _known:
        starts = range(0, stat.st_size, PIECE_BYTES)

        def piece(start: int) -> bytes:
            if stop is not None and stop.is_set():
                raise Cancelled
            return _piece(file, start, min(stat.st_size, start + PIECE_BYTES))

        with ThreadPoolExecutor(THREADS) as pool:
            _known[key] = hashlib.sha256(b"".join(pool.map(piece, starts))).hexdigest()
    return _known[key]


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
