"""How the page process asks for memory and gives it back.

glibc gives each thread an arena of its own, and Streamlit runs each rerun in a new thread: what one leaves in an arena
the others cannot use, and large arrays that were freed stay in the process. Measured with eight people (n = 1 each, the
same minutes): 641 MB at most without these two limits, 492 MB with them (benchmarks/load.py).

Most code of a library runs once, when it is imported; llvmlite, DuckDB and Arrow keep 120 MB of it resident.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# From malloc.h; mallopt(3).
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
ARENAS = 2
_MADV_DONTNEED = 4  # madvise(2)
# proc_pid_smaps(5): "7f00-7f01 r-xp 00000000 fe:00 123 /usr/lib/x.so", then figures, "Anonymous: 0 kB" among them.
_MAP = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r-.p \S+ \S+ \d+ +/.*\n(?:[A-Z].*\n)*?Anonymous: +(\d+) kB$", re.M)
MAPPED_BYTES = 1 << 18  # an array from this size on is a mapping of its own, which goes back when it is freed


def limit() -> None:
    """Set both limits, where the C library is glibc; call before threads have arenas of their own."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)


def release_code() -> None:
    """Unmap the pages of libraries that were read so far and never written: what is called again comes back from the
    page cache, in microseconds. Linux. Cost: 10 ms; call when everything is imported and other threads load nothing."""
    if sys.platform != "linux":
        return
    madvise = ctypes.CDLL(None).madvise
    for start, length in _unwritten(Path("/proc/self/smaps")):
        madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def _unwritten(smaps: Path) -> Iterator[tuple[int, int]]:
    """(address, bytes) of private maps of files that cannot be written and hold nothing of their own.
    Relocated tables are read-only too, but what the linker wrote there is anonymous memory."""
    with suppress(OSError):
        for found in _MAP.finditer(smaps.read_text(errors="replace")):
            start, stop = (int(found[side], 16) for side in (1, 2))
            if found[3] == "0":
                yield start, stop - start
