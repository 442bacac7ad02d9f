"""What the page process and the worker say to each other: one JSON object a line, each way. No torch.

Each message is a dataclass; its line carries the word that says which, and the version of all of them. A line that is
none (a stray print of a library, a message of another version) is no message: whoever reads goes on with the next line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from diag.case import Case
from diag.errors import InputError
from diag.results import codec
from diag.results.record import MAX_RECORD_BYTES

VERSION = 5  # of the messages; 4 had one more
JobKind = Literal["measure", "test", "repair", "reproduce"]
MAX_LINE = 4 * MAX_RECORD_BYTES  # a record in a message, its quotation marks escaped


@dataclass(frozen=True)
class JobRequest:
    """One piece of long work. ids: hypotheses of a test; the record that `repair` and `reproduce` go on from. `stamp`
    changes when a file behind the case does (its state), so that the same question about changed files is another
    job."""

    kind: JobKind
    case: Case
    ids: tuple[str, ...] = ()
    stamp: str = ""

    @property
    def id(self) -> str:
        """16 hex digits of the content: asking the same twice is the same job."""
        content = [self.kind, self.case.to_query(), sorted(self.ids), self.stamp]
        return hashlib.sha256(codec.canonical(content)).hexdigest()[:16]

    def to_message(self) -> Run:
        """The request as the worker is asked."""
        return Run(self.id, self.kind, self.case.to_query(), self.ids)


# To the worker --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Run:
    """Do this. `case` is the query form: names, which the worker looks up in its own scan, and never paths."""

    job: str
    kind: JobKind
    case: dict[str, str]
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cancel:
    """Stop this job at the next batch of sequences. End of file on stdin stops everything at once."""

    job: str


@dataclass(frozen=True)
class Stop:
    """Conclude this job from what it knows at the next batch of sequences, and record that it was stopped."""

    job: str


# From the worker ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Ready:
    """Torch is loaded; requests are answered from now on."""

    pid: int
    versions: dict[str, str]


@dataclass(frozen=True)
class Beat:
    """Sent every second from the first one on, whatever else is done: the process runs."""

    pid: int


@dataclass(frozen=True)
class Began:
    """The job is being worked on. One of which this was never said can be given to another worker."""

    job: str


@dataclass(frozen=True)
class Step:
    """How far a job is: a fraction from 0 to 1, and what is being done."""

    job: str
    fraction: float
    text: str


@dataclass(frozen=True)
class Learnt:
    """What the job knows already, a sentence under a name: the loss as loaded, or a hypothesis. The record decides."""

    job: str
    name: str
    text: str


@dataclass(frozen=True)
class HeldModel:
    """A model that stays on the device for the next job. checkpoint: the name that it was loaded under."""

    checkpoint: str
    dtype: str
    bytes: int


@dataclass(frozen=True)
class Holds:
    """Said after each job: the models that the worker keeps, the latest used first, and the bytes of its memory."""

    pid: int
    models: tuple[HeldModel, ...]
    resident_bytes: int


@dataclass(frozen=True)
class Done:
    """The job's record is written."""

    job: str
    record: str


@dataclass(frozen=True)
class Unwritten:
    """The job is done, and the disk refused its record: its id, the text of its file, and why."""

    job: str
    record: str
    text: str
    error: str


@dataclass(frozen=True)
class Failed:
    """The job ended without a record, and why."""

    job: str
    error: str


@dataclass(frozen=True)
class Cancelled:
    """The job was stopped on request; nothing was recorded."""

    job: str
    error: str


Message = Run | Cancel | Stop | Ready | Beat | Began | Step | Learnt | Holds | Done | Unwritten | Failed | Cancelled
_WORDS: dict[str, type[Any]] = {
    "run": Run,
    "cancel": Cancel,
    "stop": Stop,
    "ready": Ready,
    "beat": Beat,
    "began": Began,
    "progress": Step,
    "learnt": Learnt,
    "holds": Holds,
    "done": Done,
    "unwritten": Unwritten,
    "failed": Failed,
    "cancelled": Cancelled,
}
_WORD_OF = {kind: word for word, kind in _WORDS.items()}


def to_line(message: Message) -> str:
    """The message as one line of JSON, without its line break."""
    fields = {f.name: getattr(message, f.name) for f in dataclasses.fields(message)}
    return codec.dumps({"message": _WORD_OF[type(message)], "version": VERSION, **fields})


def parse(line: str) -> Message | None:
    """The message of a line; None for a line that is none."""
    if len(line) > MAX_LINE:
        return None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.pop("version", None) != VERSION:
        return None
    kind = _WORDS.get(str(data.pop("message", None)))
    if kind is None:
        return None
    try:
        message: Message = codec.decode(kind, data, "message")
    except InputError:
        return None
    return message
