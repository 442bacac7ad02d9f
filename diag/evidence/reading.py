"""Many files at once: a second process reads half of them, since one takes about 3 ms a file.

The two speak JSON over pipes, a line each way, and the second ends when its stdin does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from diag.evidence.documents import Block, Document, read_documents
from diag.evidence.facts.fact import Fact
from diag.evidence.files import Found

ALONE = 500  # files that are read before a second process has started, which takes a second
SHARE = 0.6  # of the second process: this one puts rows into the index too

Read = Document | str


class Readers:
    """Reads batches of files, with a second process when there are many; one that ends early is done without."""

    def __init__(self, count: int, digests: dict[str, str]) -> None:
        self._digests = digests
        self._second: subprocess.Popen[bytes] | None = None
        if count > ALONE and (os.cpu_count() or 1) > 1:
            with suppress(OSError):
                self._second = subprocess.Popen(
                    [sys.executable, "-m", "diag.evidence.reading"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # Ctrl-C is this process's to handle
                )

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._second:
            self._second.kill()
            self._second.communicate()

    def read(self, batches: Sequence[list[Found]]) -> Iterator[tuple[list[Found], list[Read]]]:
        """Each batch with its documents, in order; the second process is a batch ahead while rows are inserted."""
        asked = self._ask(batches[0]) if batches else 0
        for number, batch in enumerate(batches):
            split = len(batch) - asked
            mine = self._alone(batch[:split])
            theirs = self._answer(batch[split:])
            asked = self._ask(batches[number + 1]) if number + 1 < len(batches) else 0
            yield batch, [*mine, *theirs]

    def _alone(self, items: Sequence[Found]) -> list[Read]:
        return read_documents([(item, self._digests.get(str(item.path), "")) for item in items])

    def _ask(self, batch: list[Found]) -> int:
        """Send the end of a batch to the second process; how many files that is."""
        share = int(len(batch) * SHARE)
        if self._second is None or share == 0:
            return 0
        listed = [
            (os.fspath(item.path), item.name, item.size, item.stamp, self._digests.get(str(item.path), ""))
            for item in batch[-share:]
        ]
        assert self._second.stdin
        try:
            self._second.stdin.write(json.dumps(listed).encode() + b"\n")
            self._second.stdin.flush()
        except OSError:
            return 0
        return share

    def _answer(self, items: list[Found]) -> list[Read]:
        if not items:
            return []
        assert self._second and self._second.stdout
        try:
            answer = json.loads(self._second.stdout.readline())
        except (OSError, ValueError):
            self._second.kill()
            return self._alone(items)
        return [
            said if isinstance(said, str) else _unpacked(item, said) for item, said in zip(items, answer, strict=True)
        ]


def _packed(read: Read) -> Any:
    if isinstance(read, str):
        return read
    blocks = [[block.line, block.section, block.text, block.length, block.terms] for block in read.blocks]
    facts = [list(fact) for fact in read.facts]
    return [read.digest, read.date, read.said, blocks, facts, list(read.left_out), list(read.row), read.refused]


def _unpacked(item: Found, said: list[Any]) -> Document:
    digest, date, of_run, blocks, facts, left_out, row, refused = said
    made = [Fact(*[*values[:11], tuple(values[11]), *values[12:]]) for values in facts]
    cut = tuple(Block(*block) for block in blocks)
    return Document(item, digest, date, of_run, cut, tuple(made), tuple(left_out), tuple(row), refused)


def main() -> None:
    """The second process: a list of files a line in, their documents a line out."""
    for line in sys.stdin.buffer:
        if not line.endswith(b"\n"):
            return  # the first one was killed in the middle of it
        items = [(Found(Path(path), name, size, stamp), known) for path, name, size, stamp, known in json.loads(line)]
        try:
            sys.stdout.buffer.write(json.dumps([_packed(read) for read in read_documents(items)]).encode() + b"\n")
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # the first one was killed: nobody waits for this
            os._exit(1)


if __name__ == "__main__":
    main()
