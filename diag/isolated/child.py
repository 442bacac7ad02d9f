"""The child: reads calls on stdin, answers on stdout, ends with stdin.

    python -m diag.isolated.child

It answers one call at a time, an answer whenever one is asked for. Memory is limited to what it had before the call and
so much more; a core dump, or a file of its own, it cannot write.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from diag.errors import InputError
from diag.isolated import calls, wire

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]


def main() -> None:
    """Answer until the parent is gone."""
    # What parsers print must not be taken for an answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    inp = sys.stdin.buffer
    sys.dont_write_bytecode = True
    if resource:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    answers: Iterator[wire.Answer] = iter(())
    while True:
        try:
            asked, _ = wire.unpacked(lambda nbytes: _exactly(inp, nbytes), 0)
        except EOFError:
            return
        if "call" in asked:
            answers = _begun(asked)
        for part in _next(answers):
            out.write(part)
        out.flush()


def _begun(asked: dict[str, Any]) -> Iterator[wire.Answer]:
    """The answers of a call, under the limit that it brings."""
    _limit(None)
    found = calls.find(asked["call"])  # what its module needs is there before memory is limited
    _limit(int(asked["memory"]))
    return found(**asked["params"])


def _next(answers: Iterator[wire.Answer]) -> list[bytes | memoryview]:
    """The next answer, the end, or why there is none."""
    try:
        answer = next(answers, None)
        return wire.packed({"end": True}) if answer is None else wire.packed(answer.values, answer.arrays)
    except InputError as error:
        return wire.packed({"error": {"what": error.what, "where": error.where, "fix": error.fix}})
    except MemoryError:
        return wire.packed({"failed": "memory"})
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in a Rust library is no Exception
        words = f"{type(error).__name__}: {error}"
        return wire.packed({"failed": "memory" if "alloc" in words or "emory" in words else words[:400]})


def _limit(more: int | None) -> None:
    """At most `more` bytes beyond what the process has now; None lifts the limit."""
    if resource and sys.platform == "linux":
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (hard if more is None else now + more, hard))


def _exactly(stream: BinaryIO, nbytes: int) -> bytes:
    found = stream.read(nbytes)
    if len(found) < nbytes:
        raise EOFError
    return found


if __name__ == "__main__":
    main()
