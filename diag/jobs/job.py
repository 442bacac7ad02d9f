"""A job as everybody sees it, and whose turn is next. No threads: the queue asks with its lock held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from diag.jobs.protocol import JobRequest, Learnt

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
FINISHED: tuple[JobState, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """A snapshot of one job. Times are epoch seconds. owners: all who asked for it. slot: the worker that has it.
    ahead: jobs that run before it, as the turns stand. silent: seconds for which the worker has given no answer, 0
    below NO_ANSWER. error of a job that is done: why its record could not be written at once. learnt: what it knows
    already. stopping: it was asked to conclude from that. batch: what it was asked for together with.
    begun: how many servers have begun it. resumed: it was queued again after the server that had it ended."""

    id: str
    request: JobRequest
    owners: tuple[str, ...] = ()
    state: JobState = "queued"
    fraction: float = 0.0
    text: str = "Waiting"
    record: str | None = None
    error: str = ""
    submitted: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    slot: str = ""
    ahead: int = 0
    silent: float = 0.0
    learnt: tuple[Learnt, ...] = ()
    stopping: bool = False
    batch: str = ""
    begun: int = 0
    resumed: bool = False

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state not in FINISHED


def in_turn(waiting: Iterable[Job], served: Mapping[str, int]) -> list[Job]:
    """The order in which jobs run: one of each owner in turn, whoever was served longest ago first, and within an
    owner as they came. served: the number of the last turn of each owner. A job of several owners runs in the first
    of their turns."""
    left, last, order = list(waiting), dict(served), []
    turn = max(last.values(), default=0)
    while left:
        job = min(left, key=lambda each: min(last.get(owner, 0) for owner in each.owners or ("",)))
        left.remove(job)
        order.append(job)
        turn += 1
        last |= dict.fromkeys(job.owners or ("",), turn)
    return order
