"""How the page process asks for memory and gives it back.

glibc gives each thread an arena of its own, and Streamlit runs each rerun in a new thread: what one leaves in an arena
the others cannot use, and large arrays that were freed stay in the process. Measured with eight people (n = 1 each, the
same minutes): 641 MB at most without these two limits, 492 MB with them (benchmarks/load.py).
"""

from __future__ import annotations

import ctypes
import sys

# From malloc.h; mallopt(3).
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3
ARENAS = 2
MAPPED_BYTES = 1 << 18  # an array from this size on is a mapping of its own, which goes back when it is freed


def limit() -> None:
    """Set both limits, where the C library is glibc; call before threads have arenas of their own."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
