"""What is read of a file: all of it, or its head and its tail when it is large. A log grows at its end."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from diag.evidence.files import MAX_TEXT_BYTES

_CHUNK = 1 << 20
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # UTF-16, whose lines cannot be found in the middle of a file


@dataclass(frozen=True)
class Source:
    """Bytes of a file. Of a large one, whole lines of its head and its tail: the first `head` lines, and `skipped`
    lines of the file between them and the rest."""

    data: bytes
    size: int
    head: int = 0
    skipped: int = 0

    def line(self, number: int) -> int:
        """The number in the file of a line of `data`, counted from 1."""
        return number + self.skipped if self.skipped and number > self.head else number

    @property
    def left_out(self) -> str:
        """What of the file is not in `data`, in words; empty when all is."""
        if self.skipped:
            first, last = self.head + 1, self.head + self.skipped
            size = (self.size - len(self.data)) / (1 << 20)
            return f"lines {first:,} to {last:,}, {size:,.0f} MiB between its head and its tail, are not read"
        if self.size > len(self.data):
            return f"only its first {len(self.data) >> 20} MiB of {self.size / (1 << 20):,.0f} are read"
        return ""


def read_ends(path: Path, limit: int = MAX_TEXT_BYTES) -> Source:
    """A regular file up to `limit` bytes; of a larger one half of that from each end, and the lines between counted:
    2 GB take about a second from memory, and a megabyte of it. OSError for anything else; never blocks on a pipe."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{path} is no regular file")
        if state.st_size <= limit:
            data = file.read(limit)
            return Source(data, len(data))
        head = file.read(limit // 2)
        cut = head.rfind(b"\n") + 1
        if head.startswith(_WIDE) or not cut:
            return Source(head + file.read(limit - len(head)), state.st_size)
        file.seek(cut)
        skipped, left = 0, state.st_size - limit // 2 - cut
        while left > 0 and (chunk := file.read(min(_CHUNK, left))):
            skipped += chunk.count(b"\n")
            left -= len(chunk)
        tail = file.read(limit // 2)
        begin = tail.find(b"\n") + 1
        head = head[:cut]
        return Source(head + tail[begin:], state.st_size, head.count(b"\n"), skipped + (begin > 0))
