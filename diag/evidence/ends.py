"""What is read of a file: all of it; of a large one its head, its tail, and the lines between that state something."""

from __future__ import annotations

import os
import stat
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from diag.evidence.files import MAX_TEXT_BYTES

_CHUNK = 1 << 20
_LONGEST = 4_000  # bytes of a line between the ends
_CHECKED = 4_096  # bytes before the place where reading goes on, which must be the same
_REMEMBERED = 8  # files whose middle was read
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # UTF-16, whose lines cannot be found in the middle of a file
# Words of lines between the ends that are read: what a run says of itself, and not of each of its steps. Each is looked
# for alone, because a search for one word takes 0.7 s a GB and for any of several eight.
STATING = (
    *(b"PASS", b"FAIL", b"SKIP", b"CONVERGED", b"DIVERGED", b"DISCHARGED", b"FALSIFY-", b"GATE-", b"ln(", b"NaN"),
    *(b"val_loss", b"val loss", b"eval_loss", b"validation loss", b"entropy", b"monoton"),
)
OF_A_WORD = 500  # lines at most
AROUND = 60  # lines on each side of one that is shown


@dataclass(frozen=True)
class Source:
    """Bytes of a file. Of a large one, whole lines: `runs` are the lines of `data` at which one begins that does not
    follow the line before it in the file, and their numbers there, all counted from 1; `head` are those of its head.
    `ends`: what its digest is taken of. left_out: what of the file is not in `data`, in words; empty when all is."""

    data: bytes
    size: int
    ends: bytes
    runs: tuple[tuple[int, int], ...] = ()
    head: int = 0
    left_out: str = ""

    @property
    def between(self) -> tuple[int, int]:
        """The first line of `data` from between the ends, and the first of the tail."""
        return (self.head + 1, self.runs[-1][0]) if self.runs else (1, 1)

    def line(self, number: int) -> int:
        """The number in the file of a line of `data`."""
        at = bisect_right(self.runs, (number, self.size)) - 1
        return number - self.runs[at][0] + self.runs[at][1] if at >= 0 else number


def read_ends(path: Path, limit: int = MAX_TEXT_BYTES, around: int | None = None) -> Source:
    """A regular file up to `limit` bytes; of a larger one half of that from each end, and of the lines between those
    that state something, at most OF_A_WORD with each word: 2 GB take 20 s of a processor, once, because a log grows at
    its end. around: of the lines between, only those near this one, in 2 s. OSError for anything else; never blocks on
    a pipe."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{path} is no regular file")
        if state.st_size <= limit:
            data = file.read(limit)
            return Source(data, len(data), data)
        head = file.read(limit // 2)
        cut = head.rfind(b"\n") + 1
        if head.startswith(_WIDE) or not cut:
            data = head + file.read(limit - len(head))
            said = f"only its first {len(data) >> 20} MiB of {state.st_size / (1 << 20):,.0f} are read"
            return Source(data, state.st_size, data, left_out=said)
        head = head[:cut]
        end = state.st_size - limit // 2
        first = head.count(b"\n") + 1
        if around is None:
            scan = _resumed(file, (state.st_dev, state.st_ino, hash(head)), _Scan(cut, first), end)
            kept, last = list(scan.kept), scan.number
        else:
            kept, last = _near(file, cut, end, first, around)
        file.seek(end)
        tail = file.read(limit // 2)
        begin = tail.find(b"\n") + 1
        why = "that state something" if around is None else f"around line {around:,}"
        return _joined(head, kept, tail[begin:], state.st_size, last + (begin > 0), why=why)


def _joined(head: bytes, kept: list[tuple[int, bytes]], tail: bytes, size: int, after: int, *, why: str) -> Source:
    """`after`: the number of the first line of the tail. why: those between were kept."""
    first = head.count(b"\n") + 1
    runs: list[tuple[int, int]] = []
    before = first - 1
    for place, (number, _) in enumerate(kept, start=first):
        if number != before + 1:
            runs.append((place, number))
        before = number
    runs.append((first + len(kept), after))
    mib = (size - len(head) - len(tail)) / (1 << 20)
    said = f"lines {first:,} to {after - 1:,}, {mib:,.0f} MiB between its head and its tail, are not read"
    data = head + b"".join(line + b"\n" for _, line in kept) + tail
    return Source(
        data, size, head + tail, tuple(runs), first - 1, f"{said} but for {len(kept):,} {why}" if kept else said
    )


@dataclass
class _Scan:
    """How far the lines between the ends of a file were read, what was kept, and the bytes before that place."""

    position: int
    number: int
    kept: list[tuple[int, bytes]] = field(default_factory=list)
    wanted: dict[bytes, int] = field(default_factory=lambda: dict.fromkeys(STATING, OF_A_WORD))
    before: bytes = b""


_SCANS: OrderedDict[tuple[int, int, int], _Scan] = OrderedDict()  # of the files read last: a log grows at its end
_LOCK = threading.Lock()


def _resumed(file: IO[bytes], key: tuple[int, int, int], fresh: _Scan, end: int) -> _Scan:
    """What is stated up to `end`; only what was added is read of a file that is known by its head."""
    with _LOCK:
        scan = _SCANS.pop(key, fresh)
        file.seek(max(0, scan.position - len(scan.before)))
        if scan.position > end or file.read(len(scan.before)) != scan.before:
            scan = fresh
            file.seek(scan.position)
        for whole in _lines(file, end - scan.position):
            places = sorted(_stating(whole, scan.wanted))
            for at in places:
                line = whole[at : whole.find(b"\n", at)][:_LONGEST]
                scan.kept.append((scan.number + whole.count(b"\n", 0, at), line))
            scan.number += whole.count(b"\n")
            scan.position += len(whole)
            scan.before = whole[-_CHECKED:]
        _SCANS[key] = scan
        while len(_SCANS) > _REMEMBERED:
            _SCANS.popitem(last=False)
        return scan


def _near(file: IO[bytes], start: int, end: int, number: int, around: int) -> tuple[list[tuple[int, bytes]], int]:
    """The lines around one, and the number of the line behind the last."""
    file.seek(start)
    kept: list[tuple[int, bytes]] = []
    for whole in _lines(file, end - start):
        count = whole.count(b"\n")
        if number - AROUND <= around < number + count + AROUND:
            lines = enumerate(whole.split(b"\n")[:-1], start=number)
            kept += [(i, line[:_LONGEST]) for i, line in lines if abs(i - around) <= AROUND]
        number += count
    return kept, number


def _lines(file: IO[bytes], left: int) -> Iterator[bytes]:
    """The next `left` bytes in pieces of whole lines; what is no whole line at their end is left out."""
    rest: list[bytes] = []
    while left > 0 and (chunk := file.read(min(_CHUNK, left))):
        left -= len(chunk)
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join([*rest, chunk[:cut]])
            rest = []
        rest.append(chunk[cut:])


def _stating(text: bytes, wanted: dict[bytes, int]) -> set[int]:
    """Where the lines begin that hold a word; a word that was found often enough is looked for no more."""
    found: set[int] = set()
    for word in list(wanted):
        at = text.find(word)
        while at >= 0:
            found.add(text.rfind(b"\n", 0, at) + 1)
            wanted[word] -= 1
            if not wanted[word]:
                del wanted[word]
                break
            at = text.find(word, text.find(b"\n", at))
    return found
