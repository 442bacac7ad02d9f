"""What the page process and the worker say to each other: one JSON object a line, each way. No torch.

To the worker:   {"do": "run", "job", "kind", "case", "ids"} · {"do": "cancel", "job"} · end of file: stop at once.
From the worker: {"is": "ready", "pid"} · {"is": "progress", "job", "fraction", "text"} ·
                 {"is": "done", "job", "record"} · {"is": "failed" | "cancelled", "job", "error"}
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from diag.case import Case
from diag.results import codec

JobKind = Literal["measure", "test"]
MAX_LINE = 1 << 20


@dataclass(frozen=True)
class JobRequest:
    """One piece of long work. `stamp` changes when a file behind the case does (sizes and times), so that the same
    question about changed files is another job."""

    kind: JobKind
    case: Case
    ids: tuple[str, ...] = ()
    stamp: str = ""

    @property
    def id(self) -> str:
        """16 hex digits of the content: asking the same twice is the same job."""
        content = [self.kind, self.case.to_query(), sorted(self.ids), self.stamp]
        return hashlib.sha256(codec.canonical(content)).hexdigest()[:16]

    def to_line(self) -> str:
        """The request as the worker reads it."""
        return codec.dumps(
            {"do": "run", "job": self.id, "kind": self.kind, "case": self.case.to_query(), "ids": list(self.ids)}
        )


def parse(line: str) -> dict[str, Any] | None:
    """A message, or None for a line that is none (a library's stray print)."""
    if len(line) > MAX_LINE:
        return None
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
