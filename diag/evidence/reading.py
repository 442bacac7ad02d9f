"""Many files at once: further processes read beside this one, since a file takes some milliseconds.

All take small pieces of one list, so none waits for another. They speak `marshal`, framed by a length, over pipes; a
process that ends early is done without, and ends itself when its stdin does.
"""

from __future__ import annotations

import gc
import marshal
import os
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import IO, Any

from diag.evidence.documents import Block, Document, read_documents
from diag.evidence.facts.fact import Fact
from diag.evidence.files import Found

ALONE = 500  # files that are read before a second process has started, which takes a second
MOST = 3  # processes beside this one
PIECE_FILES = 25
PIECE_BYTES = 4 * 1024 * 1024
AHEAD = 2  # pieces that a process has been asked for, so that it never waits for the next
BATCH_FILES = 1_000  # that one commit brings: what was committed stays when the rest is interrupted
BATCH_BYTES = 32 * 1024 * 1024

Read = Document | str
Batch = tuple[list[Found], list[Read]]
_LENGTH = struct.Struct("<Q")


class Readers:
    """Reads files in batches, with further processes when there are many and cores for them."""

    def __init__(self, files: Sequence[Found], digests: dict[str, str]) -> None:
        self._digests = digests
        self._left = deque(_cut(files, PIECE_FILES, PIECE_BYTES))
        self._read: Queue[tuple[list[Found], bytes] | None] = Queue(maxsize=64)
        self._children: list[subprocess.Popen[bytes]] = []
        more = min(_cores() - 1, MOST) if len(files) > ALONE else 0
        with suppress(OSError):
            for _ in range(more):
                self._children.append(_child())
        self._threads = [Thread(target=self._ask, args=(child,), daemon=True) for child in self._children]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._left.clear()
        for child in self._children:
            child.kill()
        while any(thread.is_alive() for thread in self._threads):
            with suppress(Empty):
                self._read.get(timeout=0.01)
        for child in self._children:
            child.communicate()

    def batches(self) -> Iterator[Batch]:
        """All files with their documents, in no order; the other processes read on while rows are inserted."""
        files: list[Found] = []
        documents: list[Read] = []
        size = 0
        for piece, read in self._pieces():
            files += piece
            documents += read
            size += sum(item.size for item in piece)
            if len(files) >= BATCH_FILES or size > BATCH_BYTES:
                yield files, documents
                files, documents, size = [], [], 0
        if files:
            yield files, documents

    def _pieces(self) -> Iterator[Batch]:
        working = len(self._threads)
        while working or self._left:
            with suppress(Empty):
                while working:
                    answer = self._read.get(block=not self._left)
                    if answer is None:
                        working -= 1
                    else:
                        piece, data = answer
                        yield (
                            piece,
                            [_unpacked(item, said) for item, said in zip(piece, marshal.loads(data), strict=True)],
                        )
            with suppress(IndexError):
                piece = self._left.popleft()
                yield piece, read_documents([(item, self._known(item)) for item in piece])

    def _known(self, item: Found) -> str:
        return self._digests.get(str(item.path), "")

    def _ask(self, child: subprocess.Popen[bytes]) -> None:
        """A thread a process: pieces in, documents out; it computes nothing, so that this process can."""
        asked: deque[list[Found]] = deque()
        assert child.stdin and child.stdout
        try:
            while True:
                while len(asked) < AHEAD and self._left:
                    with suppress(IndexError):
                        asked.append(self._left.popleft())
                        wanted = [(str(i.path), i.name, i.size, i.stamp, self._known(i)) for i in asked[-1]]
                        _send(child.stdin, wanted)
                if not asked:
                    return
                answer = _receive(child.stdout)
                self._read.put((asked[0], answer))
                asked.popleft()
        except (OSError, EOFError):
            self._left.extend(asked)
        finally:
            self._read.put(None)


def _cut(files: Sequence[Found], count: int, size: int) -> Iterator[list[Found]]:
    """Pieces of at most `count` files, that end when they hold `size` bytes."""
    piece: list[Found] = []
    held = 0
    for item in files:
        piece.append(item)
        held += item.size
        if len(piece) >= count or held > size:
            yield piece
            piece, held = [], 0
    if piece:
        yield piece


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _child() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "diag.evidence.reading"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        start_new_session=True,  # Ctrl-C is this process's to handle
    )


def _send(pipe: IO[bytes], value: Any) -> None:
    data = marshal.dumps(value)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """EOFError: the other side has ended, or was killed in the middle of it."""
    head = pipe.read(_LENGTH.size)
    data = pipe.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(data) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return data


def _packed(read: Read) -> Any:
    """Plain tuples: `marshal` takes no subclass of them."""
    if isinstance(read, str):
        return read
    blocks = [tuple(block) for block in read.blocks]
    facts = [tuple(fact) for fact in read.facts]
    return read.digest, read.date, read.said, blocks, facts, read.left_out, read.row, read.refused


def _unpacked(item: Found, said: Any) -> Read:
    if isinstance(said, str):
        return said
    digest, date, of_run, blocks, facts, left_out, row, refused = said
    cut, made = tuple(map(Block._make, blocks)), tuple(map(Fact._make, facts))
    return Document(item, digest, date, of_run, cut, made, left_out, row, refused)


def main() -> None:
    """A further process: a list of files in, their documents out."""
    gc.freeze()
    gc.disable()  # a document holds no cycles; looking for them takes a tenth of the time
    with suppress(EOFError, BrokenPipeError):  # the first process has ended, or was killed: nobody waits for this
        while True:
            items = [
                (Found(Path(path), *of_file), known)
                for path, *of_file, known in marshal.loads(_receive(sys.stdin.buffer))
            ]
            _send(sys.stdout.buffer, [_packed(read) for read in read_documents(items)])
            gc.collect()
    os._exit(0)


if __name__ == "__main__":
    main()
