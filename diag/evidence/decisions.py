"""What a team decided about a case: dated entries, appended to one file beside the records, never edited.

An entry is one line of JSON. It is written by one call under a lock, and is on the disk before `append` returns; a line
that a killed writer left unfinished is passed over, and the next writer begins a new one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from diag.errors import InputError, one_line
from diag.evidence.files import read_regular

try:
    import fcntl
except ImportError:  # Windows: O_APPEND alone keeps short lines apart
    fcntl = None  # type: ignore[assignment]

FILE_NAME = "decisions.jsonl"
MAX_BYTES = 64 * 1024 * 1024
MAX_NOTE, MAX_NAME = 2_000, 200
DecisionWord = Literal["accept", "needs_run", "refuted", "duplicate_of", "note", "meeting"]
# "meeting" is about no case: what is newer than the last one is new.
WORDS: dict[DecisionWord, str] = {
    "accept": "accepted",
    "needs_run": "needs a run",
    "refuted": "refuted",
    "duplicate_of": "duplicate of",
    "note": "note",
    "meeting": "meeting ended",
}
_CASE = re.compile(r"[A-Za-z0-9:._-]{0,120}")


@dataclass(frozen=True)
class Decision:
    """One entry. case: a case id, or what stands for a checkpoint that nobody has run. of: of which case it is the
    duplicate. owner: who goes on with it. by: who decided. at: UTC, ISO 8601. name: what the case was called then."""

    what: DecisionWord
    case: str
    owner: str = ""
    note: str = ""
    by: str = ""
    of: str = ""
    name: str = ""
    at: str = ""

    @property
    def words(self) -> str:
        """The decision as people say it."""
        return f"{WORDS[self.what]} {self.of}".strip() if self.what == "duplicate_of" else WORDS[self.what]


def decisions_path(evidence_dir: Path) -> Path:
    """The file, beside the folder of records."""
    return evidence_dir / FILE_NAME


def append(evidence_dir: Path, decision: Decision) -> Decision:
    """Write it at the end, dated now. Returns it as written, once it is on the disk. InputError when it cannot be."""
    if decision.what not in get_args(DecisionWord) or not _CASE.fullmatch(decision.case):
        raise InputError("This is no decision.", fix=f"Use one of {', '.join(WORDS)}, about a case.")
    if decision.what == "duplicate_of" and (not decision.of or decision.of == decision.case):
        raise InputError("A duplicate needs the case that it is a duplicate of.", fix="Pick another case.")
    written = Decision(
        decision.what,
        decision.case,
        owner=one_line(decision.owner, MAX_NAME).strip(),
        note=one_line(decision.note, MAX_NOTE).strip(),
        by=one_line(decision.by, MAX_NAME),
        of=one_line(decision.of, 120),
        name=one_line(decision.name, MAX_NAME),
        at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    line = json.dumps({key: value for key, value in asdict(written).items() if value}, ensure_ascii=True)
    path = decisions_path(evidence_dir)
    try:
        evidence_dir.mkdir(parents=True, exist_ok=True)
        with _opened(path) as handle:
            _write(handle, f"{line}\n".encode())
    except OSError as error:
        raise InputError(
            f"The decision cannot be written: {error.strerror}.",
            where=str(path),
            fix="Make room there, or make the folder writable; then decide again.",
        ) from None
    return written


def read(evidence_dir: Path) -> tuple[tuple[Decision, ...], int]:
    """All entries in the order of the file, and how many lines are none. Costs about 5 µs an entry."""
    try:
        data = read_regular(decisions_path(evidence_dir), MAX_BYTES)
    except OSError:
        return (), 0
    lines = data.split(b"\n")
    found = [_parsed(line) for line in lines if line.strip()]
    good = tuple(decision for decision in found if decision)
    return good, len(found) - len(good)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file for appending, this process alone; its name is on the disk when it is new."""
    fresh = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
        os.fsync(handle)
        if fresh and os.name != "nt":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    finally:
        os.close(handle)  # gives the lock back


def _write(handle: int, line: bytes) -> None:
    """The whole line; on a line of its own, whatever a killed writer left."""
    size = os.fstat(handle).st_size
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    while line:
        line = line[os.write(handle, line) :]


def _parsed(line: bytes) -> Decision | None:
    """The entry of a line; None for an unfinished line, and for anything that we did not write."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = Decision.__dataclass_fields__
    if not isinstance(value, dict) or value.get("what") not in get_args(DecisionWord):
        return None
    texts: dict[str, Any] = {key: item for key, item in value.items() if key in known and isinstance(item, str)}
    return Decision(**{"case": "", **texts})
