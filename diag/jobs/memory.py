"""What this process takes of the machine's memory. No torch."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def resident_bytes(pid: int | None = None) -> int:
    """Of a process, this one if none is named; 0 where the machine does not say."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
