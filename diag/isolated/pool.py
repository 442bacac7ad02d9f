"""The children of this process: started when one is needed, kept while they are idle, ended when they misbehave."""

from __future__ import annotations

import fcntl
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from diag import limits
from diag.errors import InputError, one_line
from diag.isolated import wire
from diag.settings import limit

KEPT = 2  # idle children: one for each kind of file that a page shows
_READ = 1 << 20
# One thread each: a child is there for many files after each other, and threads take address space that is limited.
_ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve a GiB of address space before they need any
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class Child:
    """One process. Used by one thread at a time."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "diag.isolated.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            bufsize=0,
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        self.waits = True  # for a question; not in the middle of an answer
        assert self.process.stdout
        with suppress(OSError, AttributeError):  # Linux; elsewhere, and beyond a user's share, pipes stay small
            fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, _READ)

    def answer(self, question: dict[str, Any], seconds: float, most: int) -> tuple[dict[str, Any], Any]:
        """Ask, and wait for the answer. Errors: EOFError when the child has ended, TimeoutError, ValueError."""
        assert self.process.stdin and self.process.stdout
        self.waits = False
        try:
            for part in wire.packed(question):
                self.process.stdin.write(part)
        except OSError:
            raise EOFError from None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)

            def read(nbytes: int) -> bytearray:
                found = bytearray(nbytes)
                view, done = memoryview(found), 0
                while done < nbytes:
                    if not selector.select(max(0.0, deadline - time.monotonic())):
                        raise TimeoutError
                    got = os.readv(self.process.stdout.fileno(), [view[done : done + _READ]])  # type: ignore[union-attr]
                    if not got:
                        raise EOFError
                    done += got
                return found

            found = wire.unpacked(read, most)
        self.waits = True
        return found

    def end(self) -> None:
        """Kill it, and take its leave."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)


_idle: list[Child] = []
_lock = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # two processes must not speak to one child


def warm() -> None:
    """Start a child, so that the first file need not wait for it: 0.3 s on another thread's time."""
    with _borrowed() as child, suppress(EOFError, TimeoutError, ValueError):
        child.answer({"call": "tokenizer.ready", "params": {}, "memory": _memory()}, 30, 0)


def ask(call: str, path: str, **params: Any) -> wire.Answer:
    """The one answer of a call about the file `path`. InputError where there is none: what, why, and what to do."""
    (answer,) = stream(call, path, **params)
    return answer


def stream(call: str, path: str, **params: Any) -> Iterator[wire.Answer]:
    """The answers of a call, each computed when it is asked for. The same errors."""
    seconds, memory = limit(limits.PARSER_SECONDS), _memory()
    question: dict[str, Any] = {"call": call, "params": {"path": path, **params}, "memory": memory}
    with _borrowed() as child:
        while True:
            try:
                head, arrays = child.answer(question, seconds, memory)
            except TimeoutError:
                raise _refused(path, f"takes longer than {seconds} s", limits.PARSER_SECONDS) from None
            except EOFError:
                raise _ended(path, child, memory) from None
            except ValueError as error:
                raise _refused(path, f"gives {one_line(str(error), 80)}", limits.PARSER_MEMORY_MB) from None
            if head.get("end"):
                return
            if said := head.get("error"):
                raise InputError(str(said["what"]), where=str(said["where"]), fix=str(said["fix"]))
            if failed := head.get("failed"):
                if failed == "memory":
                    child.waits = False  # what it holds is not given back
                    raise _refused(path, f"takes more than {memory >> 20:,} MiB", limits.PARSER_MEMORY_MB)
                raise InputError(f"The file cannot be read ({one_line(failed, 200)}).", where=path, fix=_AGAIN)
            yield wire.Answer({k: v for k, v in head.items() if k != "arrays"}, arrays)
            question = {"next": True}


@contextmanager
def _borrowed() -> Iterator[Child]:
    """A child for one call. It goes back when it can take another one, also where the rest of a
    stream is not wanted."""
    child = _taken() or Child()
    try:
        yield child
    finally:
        with _lock:
            keep = child.waits and child.process.poll() is None and len(_idle) < KEPT
            if keep:
                _idle.append(child)
        if not keep:
            child.end()


def _taken() -> Child | None:
    """An idle child that is still there."""
    while True:
        with _lock:
            child = _idle.pop() if _idle else None
        if child is None or child.process.poll() is None:
            return child
        child.end()


def _memory() -> int:
    return limit(limits.PARSER_MEMORY_MB) << 20


_AGAIN = "Copy it again."


def _refused(path: str, why: str, row: limits.Limit) -> InputError:
    return InputError(f"Reading this file {why}, which no file of its kind needs.", where=path, fix=row.more(_AGAIN))


def _ended(path: str, child: Child, memory: int) -> InputError:
    """A child that ended in the middle of a call: most often because it got no more memory."""
    code = child.process.wait()
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return InputError(
        f"The program that reads this file ended in the middle of it ({how}; it may use {memory >> 20:,} MiB).",
        where=path,
        fix=limits.PARSER_MEMORY_MB.more(_AGAIN),
    )
